"""The weigh-in: a verdict before a weight is fetched, by what this device is, and what came of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pesoleve_worker.catalog import Model
from pesoleve_worker.sizing import PYTHON_HEAP

from .accessibility import expect_accessible_in_both_schemes
from .chat import ID as CHAT
from .visit import MINILM, Visit
from .weighing import WEIGH, reasons

pytestmark = pytest.mark.probe

READY = 120_000
MB = 1_000_000

JUDGE = """
  const { judge } = await import(new URL('../js/verdict.js', location.href));
  const { chooseDevice } = await import(new URL('../js/device.js', location.href));
  const { readLimits } = await import(new URL('../js/limits.js', location.href));
  const models = await pesoleve.catalog();
  return await Promise.all(argument.map(async ({ id, ...given }) => {
    const model = models.find((candidate) => candidate.id === id);
    const choice = { ...(await chooseDevice('wasm', model, model.default_dtype)), ...given.choice };
    const limits = { ...(await readLimits(false)), device_memory: 16e9, quota: 1e12, ...given.limits };
    const plan = { model: 10e6, total: 20e6, stored: 0, ...given.plan };
    const rates = { compute: 12e9, float32: 20e9, int8: 16e9, threads: 2 };
    const network = { value: 1e6, low: 5e5, high: 2e6 };
    const gpu = { compute: 1e12, float32: 1e11, blocks: 5e10, dispatch: 1e-5, turn: 5e-4 };
    const device = { choice, limits, rates, gpu, network, pairs: [], surrogate: null };
    return judge({ model, dtype: model.default_dtype, plan, ...device, ...given.basis });
  }));
"""


def test_the_verdict_comes_before_any_weight(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site, f"?model={CHAT}")
    verdict = page.get_by_test_id("verdict")
    # Measured for real, on a machine that others keep busy.
    expect(verdict).to_contain_text(re.compile(r"Yes, it will run here\.|It will be a tight fit\."))
    for figure in ("Download", "Ready after", "First word after", "Writes", "Memory, at most"):
        expect(verdict).to_contain_text(figure)
    expect(verdict.locator(".corner--predicted")).to_have_count(5)
    expect(verdict.locator(".corner--measured")).to_have_count(0)
    paths = visit.bytes_by_path()
    assert [path for path in paths if "/models/" in path and not path.endswith("catalog.json")] == []
    assert not any("pyodide" in path or "onnxruntime" in path for path in paths)
    expect_accessible_in_both_schemes(page, "pl-model-card")
    visit.expect_clean(isolated_site)


def test_no_model_is_ready_before_it_has_come(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    network = {"value": 1e9, "low": 5e8, "high": 2e9}
    plan = {"model": 300e6, "total": 310e6}
    fast, slow = visit.run_module(
        JUDGE, [{"id": CHAT, "plan": plan, "basis": {"network": network}}, {"id": CHAT, "plan": plan}]
    )
    for verdict in (fast, slow):
        seconds = verdict["seconds"]
        assert seconds["load"]["value"] >= seconds["download"]["value"]
    assert slow["seconds"]["download"]["value"] > fast["seconds"]["download"]["value"] > 0


def test_what_a_sentence_takes_is_the_median_of_the_answers(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    measured = visit.run_module(
        """
        const { measuredFigures } = await import(new URL('../js/pairs.js', location.href));
        const stats = { generations: [], bytes: {}, seconds: {}, memory: {}, files: [] };
        return argument.map((runs) => measuredFigures({ ...stats, runs }).first_token ?? null);
        """,
        [
            [],
            [{"inputs": 1, "seconds": 9}, {"inputs": 4, "seconds": 4}, {"inputs": 1, "seconds": 2}],
            [{"inputs": 1, "seconds": 1}, {"inputs": 1, "seconds": 4}],
            # The first ones are those of a browser that still compiles.
            [{"inputs": 1, "seconds": 9}] * 50 + [{"inputs": 1, "seconds": 1}] * 21,
        ],
    )
    assert measured == [None, 2, 2.5, 1]


def test_every_number_is_an_interval_that_says_what_it_is(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    for id in (CHAT, "minilm-l6"):
        verdict = visit.run_module(WEIGH, {"id": id, "device": "wasm"})
        assert verdict["verdict"] in ("yes", "tight")
        assert verdict["confidence"] == "medium"
        figures = [verdict["bytes"], verdict["memory"], *verdict["seconds"].values()]
        assert (verdict["tokens_per_second"] is None) == (id != CHAT)
        if id == CHAT:
            figures.append(verdict["tokens_per_second"])
        for figure in figures:
            assert 0 < figure["low"] <= figure["value"] <= figure["high"]
            assert figure["kind"] == "predicted"
        # The first sentences take longer, while the browser compiles, and should not surprise.
        first = verdict["seconds"]["first_token"]
        above, below = first["high"] / first["value"], first["value"] / first["low"]
        assert above / below == pytest.approx(1 if id == CHAT else 2)
        planned = visit.run_module(
            "return await pesoleve.plan(argument.id, { device: 'wasm' });", {"id": id}
        )
        assert verdict["bytes"]["value"] == planned["total"]


def test_a_device_made_too_small_gets_a_no_that_names_the_limit(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    visit.open(isolated_site, f"?model={CHAT}&wasm_memory=200000000")
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_contain_text("No, it cannot run here.")
    expect(verdict).to_contain_text("of WebAssembly memory, and at most 200 MB can be had")
    expect(page.get_by_role("button", name="all the same")).to_be_enabled()
    page.get_by_role("button", name="Português").click()
    expect(verdict).to_contain_text("Não, aqui não roda.")
    expect(verdict).to_contain_text("o máximo é 200 MB")
    expect_accessible_in_both_schemes(page, "pl-model-card")
    visit.expect_clean(isolated_site)


def test_limits_are_what_the_browser_says(page: Page, isolated_site: str) -> None:
    page.add_init_script("""
      Object.defineProperty(navigator, 'deviceMemory', { value: 2 });
      navigator.storage.estimate = async () => ({ quota: 1000, usage: 300 });
      navigator.gpu.requestAdapter = async () => window.adapter ?? null;
    """)
    visit = Visit(page)
    visit.open_blank(isolated_site)
    told = visit.run_module("""
      const { readLimits } = await import(new URL('../js/limits.js', location.href));
      const { hardLimits } = await import(new URL('../js/verdict.js', location.href));
      const limits = [await readLimits(true)];
      for (const binding of [3000, 5000]) {
        window.adapter = {
          limits: { maxBufferSize: 4000, maxStorageBufferBindingSize: binding },
          features: new Set(['shader-f16']),
        };
        limits.push(await readLimits(true));
      }
      const sizes = { largest_tensor_bytes: 3500, memory_bytes: 0 };
      const lacking = [...limits, { ...limits[2], simd: false }, { ...limits[2], secure: false }];
      return { limits, hard: lacking.map((of) => hardLimits(of, 'webgpu', sizes)) };
    """)
    base = {
        "secure": True, "simd": True, "wasm_memory": 2**32, "device_memory": 2 * 2**30, "quota": 700,
    }  # fmt: skip
    assert told["limits"] == [
        base | {"gpu_buffer": None, "shader_f16": False},
        base | {"gpu_buffer": 3000, "shader_f16": True},
        base | {"gpu_buffer": 4000, "shader_f16": True},
    ]
    codes = [[reason["code"] for reason in reasons] for reasons in told["hard"]]
    assert codes == [["gpu_buffer"], ["gpu_buffer"], [], ["no_simd"], ["insecure_context"]]


def test_a_gpu_that_is_not_there_is_said_to_be(page: Page, isolated_site: str) -> None:
    page.add_init_script("navigator.gpu.requestAdapter = async () => null;")
    visit = Visit(page)
    visit.open_blank(isolated_site)
    refused = visit.run_module(WEIGH, {"id": CHAT, "device": "webgpu"})
    assert refused["error"]["code"] == "device_unavailable"
    assert "no_adapter" in refused["error"]["message"]


def test_what_each_limit_makes_of_it(
    visit: Visit, isolated_site: str, models: dict[str, Model]
) -> None:
    gpu = {"devices": ["webgpu"], "build": "jspi", "threads": 2}
    both = {"devices": ["webgpu", "wasm"], "build": "jspi", "threads": 2}
    largest = models[CHAT].devices["webgpu"].sizes["q4_1"].largest_tensor_bytes
    roomy = {"gpu_buffer": largest}
    slow = {"rates": {"compute": 1e9, "float32": 1e9, "int8": 1e9, "threads": 1}}
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({}, "yes", None),
        ({"limits": {"secure": False}}, "no", "insecure_context"),
        ({"limits": {"simd": False}}, "no", "no_simd"),
        ({"limits": {"wasm_memory": 645 * MB}}, "no", "wasm_memory"),
        ({"limits": {"wasm_memory": 655 * MB}}, "yes", None),
        ({"choice": gpu, "limits": {"gpu_buffer": largest - 1}}, "no", "gpu_buffer"),
        ({"choice": gpu, "limits": {"gpu_buffer": None}}, "no", "gpu_buffer"),
        ({"choice": gpu, "limits": roomy}, "yes", None),
        ({"choice": gpu, "limits": roomy, "basis": {"gpu": None}}, "yes", "speed_unknown"),
        ({"choice": both, "limits": {"gpu_buffer": 1}}, "yes", None),
        ({"limits": {"device_memory": 2 * 2**30}}, "tight", "device_memory"),
        ({"limits": {"quota": MB}}, "tight", "quota"),
        ({"limits": {"quota": MB}, "plan": {"stored": 10 * MB}}, "yes", None),
        ({"basis": slow}, "tight", "slow"),
        ({"limits": {"device_memory": None}}, "unknown", "memory_unknown"),
        ({"basis": {"rates": None}}, "yes", "speed_unknown"),
        ({"basis": {"network": None}}, "yes", "network_unknown"),
        ({"choice": {"threads": 1, "isolated": False}}, "yes", "one_thread"),
    ]  # fmt: skip
    visit.open_blank(isolated_site)
    found = visit.run_module(JUDGE, [{"id": CHAT, **given} for given, _, _ in cases])
    for (given, answer, code), verdict in zip(cases, found, strict=True):
        assert verdict["verdict"] == answer, given
        assert list(reasons(verdict)) == ([] if code is None else [code]), given
    memory = reasons(found[3])["wasm_memory"]
    sizes = models[CHAT].devices["wasm"].sizes["q4_1"]
    assert memory == {
        "code": "wasm_memory", "limit": 645 * MB, "needed": sizes.memory_bytes - PYTHON_HEAP,
    }  # fmt: skip
    assert found[9]["device"] == "wasm"  # the GPU cannot, so it is the next that is weighed


@pytest.mark.parametrize("id_", [CHAT, "minilm-l6"])
def test_a_device_half_as_fast_takes_twice_as_long(visit: Visit, isolated_site: str, id_: str) -> None:
    fast = {"compute": 12e9, "float32": 16e9, "int8": 12e9, "threads": 2}
    half = {"compute": 6e9, "float32": 8e9, "int8": 6e9, "threads": 2}
    # Either rate is measured in a moment of its own: one that was slow alone counts for less.
    odd = {**fast, "compute": 6e9}
    here = {"plan": {"stored": 10 * MB}}
    visit.open_blank(isolated_site)
    given = [{"id": id_, **here, "basis": {"rates": rates}} for rates in (fast, half, odd)]
    whole, halved, oddly = visit.run_module(JUDGE, given)
    for name in ("load", "first_token"):
        seconds = [verdict["seconds"][name]["value"] for verdict in (whole, oddly, halved)]
        assert seconds == sorted(seconds)
        assert 1.8 < seconds[2] / seconds[0] <= 2
        assert seconds[1] / seconds[0] < 1.5
    if id_ == CHAT:
        speeds = [verdict["tokens_per_second"]["value"] for verdict in (whole, halved)]
        assert speeds[0] / speeds[1] == pytest.approx(2)
    one = {"id": id_, **here, "basis": {"rates": fast}, "choice": {"threads": 1, "isolated": False}}
    (alone,) = visit.run_module(JUDGE, [one])
    assert alone["seconds"]["load"]["value"] == pytest.approx(whole["seconds"]["load"]["value"])


def test_a_smaller_layout_fits_where_the_fast_one_does_not(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    limits = {"wasm_memory": 500 * MB}
    for device, answer in (("wasm", "no"), ("wasm_small", "yes")):
        verdict = visit.run_module(WEIGH, {"id": CHAT, "device": device, "limits": limits})
        assert verdict["verdict"] == answer


def test_measured_beside_predicted_and_the_next_visit_learns(
    browser: Browser, browser_context_args: dict[str, Any], isolated_site: str, tmp_path: Path
) -> None:
    with browser.new_context(**browser_context_args) as context:
        page = context.new_page()
        visit = Visit(page)
        visit.open(isolated_site, MINILM)
        verdict = page.get_by_test_id("verdict")
        expect(verdict).to_contain_text("Medium confidence")
        page.locator("pl-model-card .button").first.click()
        expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
        expect(verdict.locator(".corner--measured")).to_have_count(4)
        expect(verdict.locator(".corner--predicted")).to_have_count(4)
        pairs = page.locator(".pairs")
        expect(pairs).to_contain_text("One prediction has been checked")
        expect_accessible_in_both_schemes(page)
        with page.expect_download() as download:
            pairs.get_by_role("button", name="Save as JSON").click()
        download.value.save_as(tmp_path / "pairs.json")
        (pair,) = json.loads((tmp_path / "pairs.json").read_text())["pairs"]
        assert (pair["id"], pair["dtype"], pair["device"]) == ("minilm-l6", "q4", "wasm")
        assert set(pair["measured"]) == {"bytes", "download", "load", "memory", "first_token"}
        assert pair["predicted"]["bytes"]["value"] == pair["measured"]["bytes"]
        memory = pair["predicted"]["memory"]
        assert memory["low"] <= pair["measured"]["memory"] <= memory["high"]

        again = Visit(context.new_page())
        again.open(isolated_site, MINILM)
        verdict = again.page.get_by_test_id("verdict")
        expect(verdict).to_contain_text("A sentence takes")
        expect(verdict.locator(".corner--measured")).to_have_count(2)  # answers and memory: as before
        told = again.page.evaluate("document.querySelector('pl-page').current.weighIn.verdict")
        assert told["memory"]["value"] == pair["measured"]["memory"]
        assert told["seconds"]["first_token"]["kind"] == "measured"
        again.page.locator(".pairs").get_by_role("button", name="Forget them").click()
        expect(again.page.locator(".pairs")).to_have_count(0)
        assert again.page.evaluate("localStorage.getItem('pesoleve.pairs.1')") is None
        visit.expect_clean(isolated_site)
        again.expect_clean(isolated_site)
