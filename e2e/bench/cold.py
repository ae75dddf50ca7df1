"""A first visit at 20 Mbit/s: from the click to MiniLM's first answer, beside what its bytes need.

Writes ``cold.md`` beside this file. The connection is throttled by Chromium itself (CDP). What it lets
through falls somewhat short of what it is told, so one large file is fetched alone in the same browser,
and both ratios are given: to the nominal 20 Mbit/s, and to that file's rate.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from .. import chromium
from ..server import serve_site
from ..visit import Visit

HERE = Path(__file__).parent
BYTES_A_SECOND = 20e6 / 8
LATENCY_MS = 20
ROUNDS = 5

FIRST_ANSWER = """
  const begun = performance.now();
  const model = await pesoleve.load('minilm-l6', { device: 'wasm' });
  await model.run(['flying in bad weather']);
  const { bytes, seconds } = model.stats;
  return { seconds: (performance.now() - begun) / 1000, bytes: bytes.total,
    python: seconds.python_after_bytes };
"""

ALONE = """
  const { files } = (await pesoleve.catalog()).find(({ id }) => id === 'minilm-l6');
  const largest = files.reduce((most, file) => (file.bytes > most.bytes ? file : most));
  const begun = performance.now();
  const response = await fetch(`../models/${largest.path}`, { cache: 'no-store' });
  await response.arrayBuffer();
  return largest.bytes / ((performance.now() - begun) / 1000);
"""


@dataclass(frozen=True)
class Round:
    seconds: float
    wire_bytes: int
    rate: float
    """Bytes a second of one file alone."""
    python: float
    """Seconds from Python's last byte until it was ready."""

    @property
    def nominal(self) -> float:
        return self.seconds / (self.wire_bytes / BYTES_A_SECOND)

    @property
    def measured(self) -> float:
        return self.seconds / (self.wire_bytes / self.rate)


def visit_cold(browser: Browser, site: str) -> Round:
    """One first visit, in a context that holds nothing."""
    context = browser.new_context()
    page = context.new_page()
    visit = Visit(page)
    visit.open_blank(site)
    cdp = context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": BYTES_A_SECOND,
            "uploadThroughput": BYTES_A_SECOND,
        },
    )
    answer = visit.run_module(FIRST_ANSWER)
    rate = float(visit.run_module(ALONE))
    context.close()
    return Round(float(answer["seconds"]), int(answer["bytes"]), rate, float(answer["python"]))


def report(rounds: list[Round]) -> str:
    def spread(values: list[float]) -> str:
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    lines = [
        f"# A first visit at 20 Mbit/s: {datetime.now(UTC):%Y-%m-%d}, {len(rounds)} rounds",
        "",
        "`python -m e2e.bench.cold`: MiniLM, default dtype, WASM; medians, least and most.",
        "",
        "| figure | |",
        "|---|---:|",
        f"| bytes on the wire after the click | {rounds[0].wire_bytes:,} |",
        f"| click to first answer, seconds | {spread([r.seconds for r in rounds])} |",
        f"| times what the bytes need at 20 Mbit/s | {spread([r.nominal for r in rounds])} |",
        f"| one file alone, Mbit/s | {spread([8e-6 * r.rate for r in rounds])} |",
        f"| times what the bytes need at that rate | {spread([r.measured for r in rounds])} |",
        f"| Python ready after its last byte, seconds | {spread([r.python for r in rounds])} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    with sync_playwright() as playwright, serve_site() as site:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        rounds = []
        for number in range(ROUNDS):
            rounds.append(visit_cold(browser, site))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
        browser.close()
    text = report(rounds)
    (HERE / "cold.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
