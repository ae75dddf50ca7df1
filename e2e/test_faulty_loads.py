"""Loads under fire: the answer is that of a load without faults, or the page says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .fault_cases import AT, RECOVERED, REFUSED
from .faults import CLOSES, Fault
from .faulty_server import FaultyServer
from .files_worker import PATIENCE
from .sharded_model import SHARDS, ShardedModel
from .visit import Visit

READY = 120_000

LOAD = """const patience = argument;
  const model = await pesoleve.load('minilm-l6', { device: 'wasm', patience });
  const { vectors } = await model.run(['A man is eating.', 'Someone is having a meal.']);
  await model.dispose();
  return { vectors: vectors.map((vector) => [...vector]), threads: model.stats.threads };"""


@pytest.fixture(scope="module")
def unfaulted(
    browser: Browser, browser_context_args: dict[str, Any], faulty_site: tuple[str, FaultyServer]
) -> Any:
    """The answer of a load that nothing happens to."""
    faulty_site[1].recover()
    with browser.new_context(**browser_context_args) as context:
        visit = Visit(context.new_page())
        visit.open_blank(faulty_site[0])
        answer = visit.run_module(LOAD, PATIENCE)
    assert len(answer["vectors"]) == 2
    return answer


def expect_same(answer: Any, unfaulted: Any) -> None:
    assert "error" not in answer, answer
    for vector, expected in zip(answer["vectors"], unfaulted["vectors"], strict=True):
        assert vector == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "name",
    ["cut", "no isolation headers", "wrong range"],
)
def test_the_answer_is_the_same(
    visit: Visit,
    sharded: ShardedModel,
    faulty: tuple[str, FaultyServer],
    server: FaultyServer,
    unfaulted: Any,
    name: str,
) -> None:
    shard = sharded.shards[list(RECOVERED).index(name) % SHARDS]
    server.plan = RECOVERED[name].plan(shard.path)
    visit.open_blank(faulty[0])
    expect_same(visit.run_module(LOAD, PATIENCE), unfaulted)
    assert all(fault.met for fault in server.plan)


@pytest.mark.fresh
def test_a_host_without_isolation_headers(
    visit: Visit, faulty: tuple[str, FaultyServer], server: FaultyServer, unfaulted: Any
) -> None:
    server.plan = [Fault("no_isolation", "", times=None)]
    visit.open_blank(faulty[0])
    assert not visit.page.evaluate("crossOriginIsolated")
    answer = visit.run_module(LOAD, PATIENCE)
    expect_same(answer, unfaulted)
    assert answer["threads"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "corrupt byte",
        "truncated, right Content-Length",
        "truncated",
        "stalled for good",
        "404",
        "429 for good",
        "500 for good",
    ],
)
def test_the_error_is_clear(
    visit: Visit,
    sharded: ShardedModel,
    faulty: tuple[str, FaultyServer],
    server: FaultyServer,
    name: str,
) -> None:
    case = REFUSED[name]
    shard = sharded.shards[list(REFUSED).index(name) % SHARDS]
    server.plan = case.plan(shard.path)
    visit.open_blank(faulty[0])
    error = visit.run_module(LOAD, {**PATIENCE, **case.patience})["error"]
    assert (error["code"], error["retryable"]) == (case.code, case.retryable)
    assert shard.path in error["message"]
    assert case.says in error["message"]


WORDS: dict[str, tuple[Callable[[str], Fault], str, str]] = {
    "hash_mismatch": (
        lambda path: Fault("corrupt", path, times=None, after=AT),
        "A file is not the one that was published, and was thrown away.",
        "Um arquivo não é o que foi publicado, e foi descartado.",
    ),
    "file_truncated": (
        lambda path: Fault("short", path, times=None, after=AT),
        "A file is shorter on the server than it was published.",
        "Um arquivo está mais curto no servidor do que foi publicado.",
    ),
    "download_failed, for good": (
        lambda path: Fault("status", path, times=None, status=404),
        "A file of this model is not where it was published.",
        "Um arquivo deste modelo não está onde foi publicado.",
    ),
    "download_failed": (
        lambda path: Fault("status", path, times=None, status=503, retry_after=lambda: "3600"),
        "A file could not be downloaded. What had arrived is kept",
        "Não foi possível baixar um arquivo. O que já tinha chegado está guardado",
    ),
}


def expect_words(page: Page, code: str, english: str, portuguese: str) -> None:
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(english, timeout=READY)
    expect(alert.locator("code")).to_have_text(code)
    page.get_by_role("button", name="Português").click()
    expect(alert).to_contain_text(portuguese)
    page.get_by_role("button", name="English").click()
    expect(alert).to_contain_text(english)


@pytest.mark.parametrize("code", WORDS)
def test_the_page_says_it_in_both_languages(
    visit: Visit,
    sharded: ShardedModel,
    faulty: tuple[str, FaultyServer],
    server: FaultyServer,
    code: str,
) -> None:
    fault, english, portuguese = WORDS[code]
    shard = sharded.shards[-1]
    server.plan = [fault(shard.path)]
    visit.open(faulty[0])
    visit.page.get_by_role("button", name=re.compile("^Download")).click()
    expect_words(visit.page, code.partition(",")[0], english, portuguese)


def test_trying_again_goes_on_from_there(
    visit: Visit, sharded: ShardedModel, faulty: tuple[str, FaultyServer], server: FaultyServer
) -> None:
    shard = sharded.shards[-1]
    server.plan = [Fault("short", shard.path, times=None, after=AT)]
    visit.open(faulty[0])
    visit.page.get_by_role("button", name=re.compile("^Download")).click()
    retry = visit.page.get_by_role("button", name="Try again")
    expect(retry).to_be_visible(timeout=READY)
    server.recover()
    retry.click()
    expect(visit.page.locator(".ranking__row").first).to_contain_text("A pilot", timeout=READY)
    assert server.sent(shard.path) == shard.bytes - AT
    assert sum(server.fetched().values()) < sum(file.bytes for file in sharded.files) - AT


def test_a_catalog_that_does_not_come(
    visit: Visit, faulty: tuple[str, FaultyServer], server: FaultyServer
) -> None:
    server.plan = [Fault("status", "/catalog.json", status=500)]
    visit.page.goto(faulty[0])
    expect_words(
        visit.page,
        "catalog_unavailable",
        "The list of models could not be fetched.",
        "Não foi possível obter a lista de modelos.",
    )
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.get_by_test_id("plan-total").wait_for()


def test_a_cancelled_load_says_what_was_kept(
    visit: Visit, sharded: ShardedModel, faulty: tuple[str, FaultyServer], server: FaultyServer
) -> None:
    stall = Fault("stall", sharded.shards[2].path, after=AT)
    server.plan = [stall]
    visit.open(faulty[0])
    visit.page.get_by_role("button", name=re.compile("^Download")).click()
    assert stall.reached.wait(60)
    visit.page.get_by_role("button", name="Cancel").click()
    expect_words(
        visit.page,
        "aborted",
        "Cancelled. What had arrived is kept",
        "Cancelado. O que já tinha chegado está guardado",
    )
    assert stall.left.wait(CLOSES), "the connection is still open"


@pytest.mark.parametrize("script", ["/zstddec.js", "/sha256.js"])
def test_a_missing_decompressor_or_hash_is_not_the_models_fault(
    visit: Visit, faulty: tuple[str, FaultyServer], server: FaultyServer, script: str
) -> None:
    server.plan = [Fault("status", script, times=None, status=404)]
    visit.open_blank(faulty[0])
    assert visit.run_module(LOAD, PATIENCE)["error"]["code"] == "runtime_failed"
