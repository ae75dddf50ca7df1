"""While weights arrive slowly, the model's graph runs with made-up ones; what it answers is its own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from .visit import Visit

LOAD = """
  const model = await pesoleve.load('minilm-l6', { device: 'wasm' });
  const { vectors } = await model.run(['flying in bad weather']);
  const { seconds, bytes } = model.stats;
  await model.dispose();
  return { seconds, bytes: bytes.model, vector: [...vectors[0]] };
"""
CANCEL = """
  const stop = new AbortController();
  const onProgress = ({ phase, loaded }) => {
    if (phase === 'weights' && loaded > 8_000_000) stop.abort();
  };
  return await pesoleve
    .load('minilm-l6', { device: 'wasm', onProgress, signal: stop.signal })
    .then(() => '', ({ code }) => code);
"""


def slow_down(page: Page, megabits: float) -> None:
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    rate = megabits * 1e6 / 8
    cdp.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 20, "downloadThroughput": rate, "uploadThroughput": rate},
    )


@pytest.mark.fresh
def test_a_slow_download_is_time_to_rehearse_and_a_warm_start_is_not(
    visit: Visit, isolated_site: str
) -> None:
    visit.open_blank(isolated_site)
    slow_down(visit.page, 20)
    cold = visit.run_module(LOAD)
    assert cold["bytes"] > 12_000_000
    assert cold["seconds"]["rehearsal"] > 0
    warm = visit.run_module(LOAD)
    assert warm["bytes"] == 0
    assert "rehearsal" not in warm["seconds"]
    assert warm["vector"] == cold["vector"]
    visit.expect_clean(isolated_site)


@pytest.mark.fresh
def test_a_load_is_cancelled_in_the_middle_of_it(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    slow_down(visit.page, 20)
    assert visit.run_module(CANCEL) == "aborted"
    visit.expect_clean(isolated_site)
