"""What a page knows of its connection before the click: the browser's word, and its own files."""

from __future__ import annotations

import pytest

from .visit import Visit

RATE = """
  const { downlink, files } = argument;
  Object.defineProperty(navigator, 'connection', { value: downlink && { downlink } });
  performance.getEntriesByType = () => files.map((
    [encodedBodySize, ms, at, transferSize, initiatorType], index) => {
    const responseStart = at ?? 1000 * index;
    return {
      initiatorType: initiatorType ?? 'fetch',
      encodedBodySize, transferSize: transferSize ?? encodedBodySize + 300,
      responseStart, responseEnd: responseStart + ms };
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


@pytest.mark.parametrize(
    ("downlink", "files", "megabits"),
    [
        (None, [], None),
        (None, [SMALL], None),
        (4, [], 4),
        (4, [SMALL], 4),
        (4, [[25_000, 27]], 25_000 * 8 / 27_000),
        # As much as a browser tells: it may be more.
        (10, [], 30),
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
    visit: Visit,
    isolated_site: str,
    downlink: float | None,
    files: list[list[float | str]],
    megabits: float | None,
) -> None:
    visit.open_blank(isolated_site)
    rate = visit.run_module(RATE, {"downlink": downlink, "files": files})
    if megabits is None:
        assert rate is None
        return
    assert rate["value"] == pytest.approx(megabits * MEGABIT)
    assert rate["low"] < rate["value"] < rate["high"]


@pytest.mark.parametrize(
    ("loads", "megabits"),
    [
        ([[10_000_000, 4.6]], 20),  # 0.6 s went by before anything was asked for
        ([[10_000_000, 8.6], [10_000_000, 1.4]], 100),  # the last one
        ([[10_000_000, 1]], 160),
        ([[4_000_000, 1]], 4),  # too little to tell
        ([[10_000_000, None]], 4),
    ],
)
def test_an_earlier_load_tells_more_than_a_browser_and_its_files(
    visit: Visit, isolated_site: str, loads: list[list[float]], megabits: float
) -> None:
    visit.open_blank(isolated_site)
    pairs = [{"network_bytes": load[0], "measured": {"download": load[1]}} for load in loads]
    visit.page.evaluate(
        "pairs => localStorage.setItem('pesoleve.pairs.1', JSON.stringify(pairs))", pairs
    )
    rate = visit.run_module(RATE, {"downlink": 4, "files": []})
    assert rate["value"] == pytest.approx(megabits * MEGABIT)
