"""How wrong the weigh-in is: predictions frozen, then measured, in Chromium on this machine.

Every built model on WASM with 1 and 2 threads, on a CPU as it is and slowed twice and four times, each
in a second visit, since a first one from this machine tells nothing of a network, and in first visits
on slow connections. And WebAssembly memory limited for real, where a "yes" must not be false.

Writes ``judged.md``, ``judged.json`` and ``judged.svg`` beside this file. It takes two hours, and keeps
what it has: ``--go-on`` measures what an interrupted run has not.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Playwright, sync_playwright

from .. import chromium
from ..lasting_browser import open_browser
from ..renderer_memory import renderers
from ..server import serve_site
from ..visit import Visit
from .judge_cases import CHAT, MINILM, Case, cases, needed_mb, shapes
from .judge_report import FIGURES, line, plot, report
from .slow_connection import serve_slowly, tell_browser
from .slow_renderer import slowed

HERE = Path(__file__).parent
RESULTS = HERE / "judged.json"
LIMITS_MB = (100, 300, 700, 2000)
LATENCY_SECONDS = 0.02
PAGE = 65536
FIRST_SENTENCES = 7
SETTLING = {"settling": 100, "settling_milliseconds": 2000}
"""The browser compiles until about as many are read. What a sentence takes is what it takes then."""
SENTENCES = 41
"""``js/pairs.js`` takes the median of the last so many."""
LAUNCH: dict[str, Any] = {"executable_path": chromium.find(), "args": chromium.FLAGS}

ANSWER = """
  const model = await pesoleve.load(argument.id, argument);
  globalThis.read = (sentences, milliseconds = 0) => many(model, sentences, milliseconds);
  async function many(model, sentences, milliseconds) {
    const until = performance.now() + milliseconds;
    for (let done = 0; done < sentences || performance.now() < until; done += 1)
      await model.run(['flying in bad weather on a cold morning at sea']);
  }
  if (argument.writes) {
    const messages = [{ role: 'user', content: 'Explain gravity to a six-year-old.' }];
    for await (const _ of model.generate(messages, { max_new_tokens: 32 }));
  } else await read(argument.sentences);
"""
VISIT_BEFORE = f"""
  {ANSWER}
  await new Promise((resolve) => setTimeout(resolve, 3000)); // the browser keeps what it compiled
  await model.dispose();
"""
WEIGH_AND_ANSWER = f"""
  await new Promise((resolve) => setTimeout(resolve, 1000)); // somebody looks at the page
  const verdict = structuredClone(await pesoleve.weigh(argument.id, argument));
  const closer = argument.closer
    ? structuredClone(await pesoleve.weigh(argument.id, {{ ...argument, surrogate: true }}))
    : null;
  {ANSWER}
  globalThis.model = model;
  const {{ probe }} = await import(new URL('../js/probe.js', location.href));
  const rates = await probe();
  const [probed] = performance.getEntriesByType('measure').filter(({{ name }}) => /probe/.test(name));
  const sentences = model.stats.runs.map(({{ seconds }}) => seconds);
  return {{ verdict, closer, rates, probe: probed.duration / 1000, sentences }};
"""
SETTLE = "await read(argument.settling, argument.settling_milliseconds)"
MEASURE = """
  await read(argument.measuring);
  const { measuredFigures } = await import(new URL('../js/pairs.js', location.href));
  const measured = measuredFigures(model.stats);
  await model.dispose();
  return measured;
"""
TRY = f"""
  const verdict = await pesoleve.weigh(argument.id, argument);
  let loaded = true;
  let code = '';
  try {{
    {ANSWER}
    await model.dispose();
  }} catch (error) {{
    loaded = false;
    code = error.code;
  }}
  return {{ verdict: verdict.verdict, loaded, code }};
"""


@dataclass(frozen=True)
class Judged:
    case: Case
    predicted: dict[str, Any]
    measured: dict[str, float]
    closer: dict[str, Any] | None
    """By the model cut to a few layers."""
    closer_measured: dict[str, float] | None
    """Another first visit: timing a few layers fetches the runtime, which a load then does not."""
    rates: dict[str, float]
    probe: float
    """What measuring these rates took, in seconds."""
    first_sentences: float | None
    """What one of the first few took, in seconds: the median."""


@dataclass(frozen=True)
class Fitted:
    """What was said, and whether it loaded and answered, with ``limit_mb`` of WebAssembly memory."""

    id: str
    device: str
    limit_mb: int
    verdict: str
    loaded: bool
    code: str


def measure(playwright: Playwright, case: Case) -> Judged:
    """Measure one. On a slow connection a cut of the model, which takes a visit to itself, is timed for
    the two of the page alone, with two threads and the CPU as it is."""
    isolated = case.threads > 1
    visit = partial(visit_once, playwright, case)
    by_cut: dict[str, Any] | None
    if case.megabits is None:
        with serve_site(isolation=isolated) as site:
            told = by_cut = visit(site, closer=True)
    else:
        with serve_slowly(case.megabits, LATENCY_SECONDS, isolation=isolated) as site:
            told = visit(site, closer=False)
            plain = case.id in (MINILM, CHAT) and (case.threads, case.slower) == (2, 1)
            by_cut = visit(site, closer=True) if plain else None
    return Judged(
        case,
        figures(told["verdict"]),
        told["measured"],
        by_cut and figures(by_cut["closer"]),
        by_cut and by_cut["measured"],
        told["rates"],
        told["probe"],
        statistics.median(told["sentences"]) if told["sentences"] else None,
    )


def visit_once(playwright: Playwright, case: Case, site: str, *, closer: bool) -> dict[str, Any]:
    """Weigh a model, by a few of its layers too if ``closer``, then load and run it."""
    # A profile on the disk: a private window, which is what other contexts are, keeps no model.
    with (
        TemporaryDirectory() as profile,
        open_browser(playwright, Path(profile), LAUNCH, {"service_workers": "block"}) as browser,
    ):
        context = browser.context
        argument = {
            "id": case.id, "device": case.device, "dtype": case.dtype, "writes": case.id == CHAT,
            "sentences": FIRST_SENTENCES, "measuring": SENTENCES, **SETTLING,
        }  # fmt: skip
        if case.megabits is None:
            earlier = Visit(context.new_page())
            earlier.open_blank(site)
            earlier.page.set_default_timeout(0)
            earlier.run_module(VISIT_BEFORE, {**argument, "sentences": SENTENCES})
            earlier.page.close()
        page = context.new_page()
        visit = Visit(page)
        if case.megabits is not None:
            tell_browser(context.new_cdp_session(page), case.megabits, LATENCY_SECONDS)
        visit.open_blank(site)
        page.set_default_timeout(0)
        # All of this browser's: the page may go on in the one that the visit before had.
        slower = partial(slowed, renderers(), case.slower)
        with slower():
            told: dict[str, Any] = visit.run_module(WEIGH_AND_ANSWER, {**argument, "closer": closer})
        if case.id == CHAT:
            return told | {"measured": visit.run_module(MEASURE, argument | {"measuring": 0})}
        # Compiling is waited for at full speed: what is asked is what a slow CPU takes thereafter.
        visit.run_module(SETTLE, argument)
        with slower():
            return told | {"measured": visit.run_module(MEASURE, argument)}


def figures(verdict: dict[str, Any]) -> dict[str, Any]:
    return {**verdict["seconds"], **{name: verdict[name] for name in FIGURES if name in verdict}}


def try_limits(playwright: Playwright) -> list[Fitted]:
    found = []
    models = ((MINILM, "wasm"), (CHAT, "wasm"), (CHAT, "wasm_small"))
    # What each is said to need is where a "yes" is most likely to be wrong.
    limits = sorted({*LIMITS_MB, *(needed_mb(id, device) for id, device in models)})
    for limit in limits:
        pages = -(-limit * 1_000_000 // PAGE)
        flags = [*chromium.FLAGS, f"--js-flags=--wasm-max-mem-pages={pages}"]
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=flags)
        with serve_site() as site:
            for id, device in models:
                with browser.new_context(service_workers="block") as context:
                    visit = Visit(context.new_page())
                    visit.open_blank(site)
                    argument = {
                        "id": id, "device": device, "limits": {"wasm_memory": pages * PAGE},
                        "writes": id == CHAT, "sentences": 1,
                    }  # fmt: skip
                    found.append(Fitted(id, device, limit, **visit.run_module(TRY, argument)))
                    print(found[-1], flush=True)
        browser.close()
    return found


def rounded(found: Any) -> Any:
    """Return the same with four digits of each number that was measured."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    return float(f"{found:.4g}") if isinstance(found, float) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--go-on", action="store_true", help="keep what was measured already")
    results: dict[str, Any] = {"fitted": [], "judged": []}
    if parser.parse_args().go_on:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    done = [Case(**row["case"]) for row in results["judged"]]
    left = [case for case in cases() if case not in done]
    results["cases"] = len(done) + len(left)
    with sync_playwright() as playwright:
        results["fitted"] = results["fitted"] or [asdict(row) for row in try_limits(playwright)]
        for number, case in enumerate(left, start=1):
            results["judged"].append(rounded(asdict(measure(playwright, case))))
            print(
                f"{datetime.now():%H:%M:%S} {number} of {len(left)}: {line(results['judged'][-1])}",
                flush=True,
            )
            RESULTS.write_text(json.dumps(results) + "\n", encoding="utf-8")
    text = report(results, dict(shapes()))
    (HERE / "judged.md").write_text(text, encoding="utf-8")
    plot(results, HERE / "judged.svg")
    print(text)


if __name__ == "__main__":
    main()
