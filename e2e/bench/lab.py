"""The reduction lab's table: every form of every model, its bytes, its accuracy, and its milliseconds
in Chromium, beside the small competitors and a large general model, in one run.

Writes ``lab.md`` beside this file, and ``site/measured/lab.json``, which the page draws.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from pesoleve import catalog
from pesoleve.measure.snippets import load_labelled
from pesoleve.reduce import seeds
from pesoleve_worker.catalog import Model

from .. import chromium
from ..server import SITE, serve_site
from ..visit import Visit
from .lab_baselines import compare

HERE = Path(__file__).parent
MEASURED = SITE / "measured" / "lab.json"
ROUNDS = 3
"""Of all models, the second in the opposite order: what drifts falls on all alike."""
SENTENCES = 24
REFERENCE = ("sentiment-fine-tuned", "fp32")

TIME = """
  const [id, dtype, sentences] = %s;
  const model = await pesoleve.load(id, { device: 'wasm', dtype, keep: false });
  // Until the browser has compiled for speed what it runs often.
  for (let i = 0, end = performance.now() + 2000; performance.now() < end; i++) {
    await model.run([sentences[i %% sentences.length]]);
  }
  const times = [];
  for (const text of sentences) {
    const begun = performance.now();
    await model.run([text]);
    times.push(performance.now() - begun);
  }
  await model.dispose();
  return times;
"""


@dataclass
class Row:
    """One form of one model; ``milliseconds`` of a sentence each, over all rounds."""

    model: Model
    dtype: str
    milliseconds: list[float] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.model.wire_files("wasm", self.dtype))

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> str:
        low, _, high = statistics.quantiles(self.milliseconds, n=4)
        return f"{self.median:.1f} ({low:.1f}-{high:.1f})"

    def quality(self, dataset: str) -> tuple[float, list[float]] | None:
        for row in self.model.quality:
            if (row.dtype, row.metric, row.dataset) == (self.dtype, "accuracy", dataset):
                return row.value, row.interval or []
        return None


def time_form(browser: Browser, site: str, row: Row, sentences: list[str]) -> None:
    """Load a form in a page of its own, and time each sentence."""
    with browser.new_context() as context:
        visit = Visit(context.new_page())
        visit.open_blank(site)
        asked = json.dumps([row.model.id, row.dtype, sentences])
        times = visit.run_module(TIME % asked)
        if "error" in times:
            raise RuntimeError(f"{row.model.id} in {row.dtype}: {times['error']}")
        row.milliseconds += times


def _share(value: tuple[float, list[float]] | None) -> str:
    if value is None:
        return ""
    accuracy, (low, high) = value[0], value[1]
    return f"{100 * accuracy:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def seeds_of(row: Row) -> list[float]:
    """The accuracies that several trainings reached, of the dtype that they were measured in."""
    return list(seeds.read().get(row.model.id, {}).values()) * (row.dtype == row.model.default_dtype)


def _varies(reached: list[float]) -> str:
    if not reached:
        return ""
    mean, deviation = statistics.mean(reached), statistics.stdev(reached)
    return f"{100 * mean:.1f} ± {100 * deviation:.1f} ({len(reached)})"


def report(rows: list[Row], compared: dict[str, Any]) -> str:
    reference = next(row for row in rows if (row.model.id, row.dtype) == REFERENCE)
    lines = [
        f"# The reduction lab: {datetime.now(UTC):%Y-%m-%d}",
        "",
        "`python -m e2e.bench.lab`: WASM, as many threads as the page would take of 2 (one for the "
        f"smallest), {SENTENCES} sentences one at a time, after two seconds of them, {ROUNDS} rounds; "
        "medians and quartiles. "
        "Accuracy in per cent with 95 % bootstrap intervals; where a recipe was trained from several "
        "seeds (`pesoleve seeds`), the mean of what they reached, and their standard deviation.",
        "",
        "| model | dtype | MB on the wire | films | films, seeds | products | ms a sentence "
        "| times as fast |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: row.bytes):
        lines.append(
            f"| {row.model.id} | {row.dtype} | {row.bytes / 1e6:.2f} "
            f"| {_share(row.quality('movies-test'))} | {_varies(seeds_of(row))} "
            f"| {_share(row.quality('products-test'))} "
            f"| {row.spread} | {reference.median / row.median:.1f} |"
        )
    for baseline in compared["baselines"]:
        told = _share((baseline["accuracy"], list(baseline["interval"])))
        lines.append(f"| {baseline['name']} | | | {told} | | | | |")
    general = compared["general"]
    told = _share((general["accuracy"], list(general["interval"])))
    asked = f"{general['name']}, asked about {general['n']}"
    lines.append(f"| {asked} | | {general['bytes'] / 1e6:.2f} | {told} | | | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    models = catalog.read(SITE / "models").models
    rows = [
        Row(model, dtype)
        for model in models
        if model.id.startswith("sentiment-")
        for dtype in model.devices["wasm"].files
    ]
    sentences = load_labelled("movies-test").texts[:SENTENCES]
    chat = next(model for model in models if model.task == "text_generation")
    with sync_playwright() as playwright, serve_site() as site:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        for number in range(ROUNDS):
            for row in rows if number % 2 == 0 else reversed(rows):
                time_form(browser, site, row, sentences)
                print(f"{row.model.id} {row.dtype}: {row.spread} ms", flush=True)
        browser.close()
    compared = compare(chat, SITE / "models")
    milliseconds: dict[str, dict[str, float]] = {}
    for row in rows:
        milliseconds.setdefault(row.model.id, {})[row.dtype] = round(row.median, 2)
    text = report(rows, compared)
    (HERE / "lab.md").write_text(text, encoding="utf-8")
    MEASURED.parent.mkdir(exist_ok=True)
    content = {
        "measured_on": f"{datetime.now(UTC):%Y-%m-%d}",
        "milliseconds": milliseconds,
        "seeds": {row.model.id: reached for row in rows if (reached := seeds_of(row))},
        **compared,
    }
    MEASURED.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
