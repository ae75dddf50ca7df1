"""What a page knows of its connection before the click: the browser's word, and its own files."""

from __future__ import annotations

import pytest

from .visit import Visit

RATE = """
  const { downlink, files } = argument;
  Object.defineProperty(navigator, 'connection', { value: downlink && { downlink } });
  performance.getEntriesByType = () => files.map(([bytes, ms]) => (
    { encodedBodySize: bytes, transferSize: bytes + 300, responseStart: 100, responseEnd: 100 + ms }));
  const { networkRate } = await import(new URL('../js/network.js', location.href));
  return networkRate();
"""
MEGABIT = 125_000
SMALL = [3_000, 0.1]
"""Tells nothing: it came in one piece."""


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
        (10, [[25_000, 10]], 25),
        (10, [[25_000, 10], [50_000, 12], SMALL], 40),
        (None, [[25_000, 100]], 25_000 * 8 / 98_000),
    ],
)
def test_a_connection_is_what_the_browser_says_or_its_files_show(
    visit: Visit,
    isolated_site: str,
    downlink: float | None,
    files: list[list[float]],
    megabits: float | None,
) -> None:
    visit.open_blank(isolated_site)
    rate = visit.run_module(RATE, {"downlink": downlink, "files": files})
    if megabits is None:
        assert rate is None
        return
    assert rate["value"] == pytest.approx(megabits * MEGABIT)
    assert rate["low"] < rate["value"] < rate["high"]
