"""What a page knows of its connection before the click: the browser's word, and its own files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from .visit import Visit

RATE = """
  const { downlink, files, pairs } = argument;
  const told = { value: downlink && { downlink }, configurable: true };
  Object.defineProperty(navigator, 'connection', told);
  localStorage.setItem('pesoleve.pairs.1', JSON.stringify(pairs ?? []));
  performance.getEntriesByType = () => files.map((
    [encodedBodySize, ms, at, transferSize, initiatorType, answer], index) => {
    const responseStart = at ?? 1000 * index;
    return {
      initiatorType: initiatorType ?? 'fetch', workerStart: 0,
      requestStart: responseStart - (answer?.after ?? 30),
      encodedBodySize, transferSize: transferSize ?? encodedBodySize + 300,
      responseStart, responseEnd: responseStart + ms, ...answer };
  });
  const { networkRate } = await import(new URL('../js/network.js', location.href));
  return networkRate();
"""
MEGABIT = 125_000
SMALL = [3_000, 0.1]
"""Tells nothing: it came in one piece."""
# Nor do these: bytes, ms, when, bytes transferred, and what asked.
UNCHANGED = [25_000, 2, 5_000, 300]
KEPT = [25_000, 1, 6_000, 0]
TOGETHER = [[40_000, 10, 100], [2_000, 1, 105]]
FONT = [35_000, 2, 7_000, 35_300, "link"]


@pytest.fixture(scope="module")
def blank(
    browser: Browser, browser_context_args: dict[str, Any], isolated_site: str
) -> Iterator[Visit]:
    with browser.new_context(**browser_context_args) as context:
        visit = Visit(context.new_page())
        visit.open_blank(isolated_site)
        yield visit


@pytest.mark.parametrize(
    ("downlink", "files", "megabits"),
    [
        (None, [SMALL], None),
        (4, [SMALL], 4),
        (4, [[25_000, 27]], 25_000 * 8 / 27_000),
        # What a browser begins with, and a file that came much faster.
        (1.4, [[25_000, 26.9]], 8),
        (1.4, [[25_000, 101.9]], 25_000 * 8 / 101_900),
        # As much as a browser tells: it may be more.
        (10, [SMALL], 30),
        (10, [[25_000, 100]], 30),
        (10, [[25_000, 9.9]], 25),
        (10, [[25_000, 9.9], [50_000, 11.9], SMALL], 40),
        (10, [[25_000, 9.9], UNCHANGED, KEPT, FONT], 25),
        (10, [*TOGETHER, [25_000, 9.9]], 25),
        (None, [[25_000, 101.9]], 2),
        (None, [UNCHANGED, KEPT, FONT, *TOGETHER], None),
    ],
)
def test_a_connection_is_what_the_browser_says_or_its_files_show(
    blank: Visit,
    downlink: float | None,
    files: list[list[float | str]],
    megabits: float | None,
) -> None:
    rate = blank.run_module(RATE, {"downlink": downlink, "files": files})
    if megabits is None:
        assert rate is None
        return
    assert rate["value"] == pytest.approx(megabits * MEGABIT)
    assert rate["low"] < rate["value"] < rate["high"]


@pytest.mark.parametrize(
    ("loads", "megabits"),
    [
        ([[10_000_000, 4.4]], 20),  # 0.4 s went by before anything was asked for
        ([[10_000_000, 8.6], [10_000_000, 1.2]], 100),  # the last one
        ([[10_000_000, 0.5]], 320),
        ([[4_000_000, 1]], 4),  # too little to tell
        ([[10_000_000, None]], 4),
    ],
)
def test_an_earlier_load_tells_more_than_a_browser_and_its_files(
    blank: Visit, loads: list[list[float]], megabits: float
) -> None:
    pairs = [{"network_bytes": load[0], "measured": {"download": load[1]}} for load in loads]
    rate = blank.run_module(RATE, {"downlink": 4, "files": [SMALL], "pairs": pairs})
    assert rate["value"] == pytest.approx(megabits * MEGABIT)


@pytest.mark.parametrize(
    ("answers", "megabits"),
    [
        ([30, 2], 1000),  # nobody on another network answers as soon, and a throttle does not either
        ([30, 6], 4),
        # A worker's script tells no time of its answer; what was kept is no answer.
        ([30, {"after": 0, "initiatorType": "other"}], 4),
        ([30, {"after": 1, "transferSize": 0}], 4),
        ([30, {"after": 1, "workerStart": 5}], 4),
        # None answered, as on a visit that a service worker serves: the address tells.
        ([{"after": 1, "workerStart": 5}], 1000),
        ([], 1000),
    ],
)
def test_what_a_browser_tells_is_not_of_the_way_to_this_machine(
    blank: Visit, answers: list[float | dict[str, Any]], megabits: float
) -> None:
    told = [answer if isinstance(answer, dict) else {"after": answer} for answer in answers]
    files = [[3_000, 0.1, None, None, None, answer] for answer in told]
    rate = blank.run_module(RATE, {"downlink": 4, "files": files})
    assert rate["value"] == pytest.approx(megabits * MEGABIT)


def test_a_first_visit_to_this_machine_knows_of_its_own_connection(
    browser: Browser, browser_context_args: dict[str, Any], isolated_site: str
) -> None:
    """Chromium tells of a megabit and a half there. A machine that is busy may answer late once."""
    predicted = []
    for _ in range(3):
        with browser.new_context(**browser_context_args) as context:
            visit = Visit(context.new_page())
            visit.open_blank(isolated_site)
            verdict = visit.run_module("return await pesoleve.weigh('minilm-l6', { device: 'wasm' })")
        predicted.append(verdict["seconds"]["download"]["value"])
    assert min(predicted) < 5
