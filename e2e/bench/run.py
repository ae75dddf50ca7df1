"""``make bench``: load and run MiniLM-L6 in Chromium, beside Transformers.js, in one run.

Every contender is loaded in a fresh browser context in every round, and rounds are interleaved, so that
what else the machine does falls on all alike. Times are medians with the quartiles; compare ratios, not
runs. Writes ``e2e/bench/results.md``.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from pesoleve.measure.datasets import load_pairs
from pesoleve.serve import ISOLATION, AddHeaders, SiteFiles

from .. import chromium
from ..server import SITE, serve_app
from .peers import MODEL, NODE_MODULES, build_peer_model, compress_peer_runtime

HERE = Path(__file__).parent
RESULTS = HERE / "results.md"
CACHE = Path(".cache/bench")
ROUNDS = 5
SENTENCES = 40

OURS = """
  const { load } = await import(new URL('/site/js/pesoleve.js', location.href));
  const begun = performance.now();
  const model = await load('minilm-l6', { device: 'wasm', dtype: argument.dtype });
  const loadSeconds = (performance.now() - begun) / 1000;
  const embed = async (text) => (await model.run([text])).vectors[0];
"""
THEIRS = f"""
  const {{ pipeline, env }} = await import(
    new URL('/peers/@huggingface/transformers/dist/transformers.min.js', location.href));
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  env.backends.onnx.wasm.wasmPaths = new URL('/peers/onnxruntime-web/dist/', location.href).href;
  env.backends.onnx.wasm.numThreads = argument.threads;
  const begun = performance.now();
  const extract = await pipeline('feature-extraction', '{MODEL}', {{
    device: 'wasm', dtype: argument.dtype }});
  const embed = async (text) =>
    (await extract(text, {{ pooling: 'mean', normalize: true }})).tolist()[0];
  await embed('warm up');
  const loadSeconds = (performance.now() - begun) / 1000;
"""
MEASURE = """
  // The browser compiles what turns out to be hot: a hundred sentences, and two seconds, do not count.
  const settled = performance.now() + 2000;
  for (let done = 0; done < 100 || performance.now() < settled; done++)
    await embed(argument.texts[done % argument.texts.length]);
  const milliseconds = [];
  for (const text of argument.texts) {
    const begun = performance.now();
    await embed(text);
    milliseconds.push(performance.now() - begun);
  }
  return { loadSeconds, milliseconds };
"""


@dataclass(frozen=True)
class Contender:
    name: str
    dtype: str
    threads: int
    script: str

    @property
    def label(self) -> str:
        return f"{self.name} {self.dtype}, {self.threads} thread{'s' if self.threads > 1 else ''}"


CONTENDERS = [
    Contender(name, dtype, threads, script)
    for threads in (2, 1)
    for name, script, dtypes in (
        ("Peso Leve", OURS, ("fp32", "q8", "q4")),
        ("Transformers.js", THEIRS, ("fp32", "q8")),
    )
    for dtype in dtypes
]


@contextmanager
def serve_all(models: Path, isolation: bool) -> Iterator[str]:
    routes = [
        Mount("/site", SiteFiles(SITE)),
        Mount("/peers", SiteFiles(NODE_MODULES)),
        Mount("/models", StaticFiles(directory=models)),
        Mount("/", StaticFiles(directory=HERE / "page", html=True)),
    ]
    with serve_app(AddHeaders(Starlette(routes=routes), ISOLATION if isolation else {})) as address:
        yield address


def measure(browser: Browser, site: str, contender: Contender, texts: list[str]) -> dict[str, Any]:
    """Load the contender in a fresh context; return its load time, its runs, and its bytes."""
    context = browser.new_context()
    page = context.new_page()
    wire: list[int] = []
    page.on("requestfinished", lambda request: wire.append(int(request.sizes()["responseBodySize"])))
    page.goto(site)
    argument = {"dtype": contender.dtype, "threads": contender.threads, "texts": texts}
    body = f"async (argument) => {{ {contender.script} {MEASURE} }}"
    result: dict[str, Any] = page.evaluate(body, argument)
    page.wait_for_timeout(100)
    result["bytes"] = sum(wire)
    context.close()
    return result


def spread(values: list[float], digits: int) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        "| | on the wire, all of it | load, s | a sentence, ms | of Transformers.js fp32 |",
        "|---|---:|---:|---:|---:|",
    ]
    for contender in CONTENDERS:
        rounds = results[contender.label]
        times = [ms for r in rounds for ms in r["milliseconds"]]
        peer = f"Transformers.js fp32, {contender.threads} thread{'s' if contender.threads > 1 else ''}"
        base = statistics.median(ms for r in results[peer] for ms in r["milliseconds"])
        lines.append(
            f"| {contender.label} | {rounds[0]['bytes'] / 1e6:.1f} MB "
            f"| {spread([r['loadSeconds'] for r in rounds], 2)} | {spread(times, 1)} "
            f"| {statistics.median(times) / base:.2f} |"
        )
    return lines


def main() -> None:
    """Run every round and write the table."""
    texts = load_pairs("stsb-test").first[:: 1379 // SENTENCES][:SENTENCES]
    compress_peer_runtime()
    models = build_peer_model(CACHE)
    results: dict[str, list[dict[str, Any]]] = {c.label: [] for c in CONTENDERS}
    with (
        sync_playwright() as playwright,
        serve_all(models, True) as isolated,
        serve_all(models, False) as plain,
    ):
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        for number in range(ROUNDS):
            for contender in CONTENDERS:
                print(f"round {number + 1} of {ROUNDS}: {contender.label}", file=sys.stderr)
                site = isolated if contender.threads > 1 else plain
                results[contender.label].append(measure(browser, site, contender, texts))
        version = browser.version
        browser.close()
    lines = [
        "# MiniLM-L6 in Chromium, on WASM",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: Chromium {version}, "
        f"{platform.machine()}, {ROUNDS} interleaved rounds of {SENTENCES} STS-B sentences singly, "
        "after a hundred and two seconds of them, for which the browser compiles. Medians, with "
        "quartiles in brackets; from a server on the same machine, so that the load is everything but "
        "the network. Loading includes the runtime, and for Peso Leve Python.",
        "",
        *table(results),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
    CACHE.joinpath("results.json").write_text(json.dumps(results))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
