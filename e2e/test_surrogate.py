"""A model cut to a few of its layers, with made-up weights, timed in the page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .accessibility import expect_accessible_in_both_schemes
from .chat import ID as CHAT
from .server import SITE
from .visit import MINILM, Visit
from .weighing import WEIGH

pytestmark = pytest.mark.probe

READY = 120_000
PROTOCOL = SITE / "js/protocol.js"

SCALED = """
  const { timeSurrogate } = await import(new URL('../js/surrogate.js', location.href));
  const { chooseDevice } = await import(new URL('../js/device.js', location.href));
  const model = (await pesoleve.catalog()).find(({ id }) => id === argument.id);
  const { device } = argument;
  const dtype = model.default_dtype;
  const choice = await chooseDevice(device, model, dtype);
  const fast = { compute: 1e15, float32: 1e15, int8: 1e15, threads: 2 };
  return {
    layers: model.devices[device].surrogates[dtype].map(({ layers }) => layers),
    timed: await timeSurrogate(model, device, dtype, choice, fast),
  };
"""


def test_a_few_layers_with_made_up_weights_tell_more_than_a_probe(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_contain_text("from how fast this device multiplies")
    verdict.get_by_role("button", name="Time a few of its layers").click()
    expect(verdict).to_contain_text("a few of its layers have run here", timeout=READY)
    expect(verdict.locator(".corner--measured")).to_have_count(0)
    # Whatever the page looks at anew, it does not know less.
    page.locator("pl-stored-models").dispatch_event("pl-stored")
    page.wait_for_timeout(1000)
    expect(verdict).to_contain_text("a few of its layers have run here")
    packed = [path for path in visit.bytes_by_path() if path.endswith(".zst")]
    assert packed
    assert all("/surrogate-" in path for path in packed)
    python = [path for path in visit.bytes_by_path() if "/pyodide/" in path]
    assert [path.split("/")[-1] for path in python] == ["python.snapshot"]  # the connection's measure
    expect_accessible_in_both_schemes(page, "pl-model-card")
    visit.expect_clean(isolated_site)


@pytest.mark.parametrize("device", ["wasm", "wasm_small"])
def test_a_cut_decoder_says_how_fast_the_whole_writes(
    visit: Visit, isolated_site: str, device: str
) -> None:
    visit.open_blank(isolated_site)
    verdict = visit.run_module(WEIGH, {"id": CHAT, "device": device, "surrogate": True})
    assert verdict["basis"] == "surrogate"
    assert 1 < verdict["tokens_per_second"]["value"] < 1000
    assert 0.01 < verdict["seconds"]["first_token"]["value"] < 10
    visit.expect_clean(isolated_site)


TIMES = """
  const times = [{ first: 0.03, token: 0.01 }, { first: 0.05, token: 0.012 }];
  self.addEventListener('message', ({ data: { v, id } }) =>
    self.postMessage({ v, id, type: 'result', value: { times, rate: null } }));
  self.postMessage({ v: VERSION, type: 'ready' });
"""
"""What a worker would answer, of the two cuts."""


def test_what_a_few_layers_take_is_scaled_to_all(page: Page, isolated_site: str) -> None:
    version = re.findall(r"^export const VERSION = (\d+);$", PROTOCOL.read_text(), re.MULTILINE)
    told = TIMES.replace("VERSION", version[0])
    page.route(
        "**/worker/surrogate_worker.js",
        lambda route: route.fulfill(response=route.fetch(), body=told),
    )
    visit = Visit(page)
    visit.open_blank(isolated_site)
    found = visit.run_module(SCALED, {"id": CHAT, "device": "wasm"})
    few, more = found["layers"]
    between = (30 - few) / (more - few)
    assert found["timed"]["first"] == pytest.approx(0.03 + between * (0.05 - 0.03))
    assert found["timed"]["token"] == pytest.approx(0.01 + between * (0.012 - 0.01))


@pytest.mark.usefixtures("returning")
def test_another_model_is_timed_unasked_once_the_runtime_is_here(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)
    page.locator("pl-model-card .button").first.click()
    expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
    page.locator(f'pl-model-picker input[value="{CHAT}"]').check(force=True)
    expect(page.get_by_test_id("verdict")).to_contain_text(
        "a few of its layers have run here", timeout=READY
    )
    weights = [path for path in visit.bytes_by_path() if CHAT in path and path.endswith(".zst")]
    assert weights
    assert all("/surrogate-" in path for path in weights)
    visit.expect_clean(isolated_site)


def test_what_was_timed_in_vain_does_not_take_the_model_away(page: Page, isolated_site: str) -> None:
    held: list[Route] = []
    page.route("**/surrogate-*", lambda route: held.append(route))
    visit = Visit(page)
    visit.open(isolated_site, MINILM)
    page.get_by_role("button", name="Time a few of its layers").click()
    page.locator("pl-model-card .button").first.click()
    expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
    assert held
    for route in held:
        route.fulfill(body=b"not it")
    expect(page.get_by_role("button", name="Time a few of its layers")).to_have_count(0)
    page.wait_for_timeout(1000)
    expect(page.locator(".ranking__row").first).to_be_visible()
    expect(page.locator("pl-failure-notice")).to_have_count(0)


def test_a_surrogate_that_is_not_the_catalogs_is_refused(page: Page, isolated_site: str) -> None:
    visit = Visit(page)
    page.route("**/surrogate-*", lambda route: route.fulfill(body=b"not it"))
    visit.open_blank(isolated_site)
    refused = visit.run_module(WEIGH, {"id": "minilm-l6", "device": "wasm", "surrogate": True})
    assert refused["error"]["code"] == "session_failed"
    assert "does not have the sha256 of the catalog" in refused["error"]["message"]
