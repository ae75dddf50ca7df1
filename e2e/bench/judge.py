"""How wrong the weigh-in is: predictions frozen, then measured, in Chromium on this machine.

The sentence model and the chat model on WASM with 2 threads; their default dtypes with 1 too, and on a
CPU slowed twice and four times; the lab's models under one of these conditions each; in a second visit,
since a first one from this machine tells nothing of a network; first visits on slow connections; and
WebAssembly memory limited for real, where a "yes" must not be false.
Writes ``judged.md``, ``judged.json`` and ``judged.svg`` beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Playwright, sync_playwright

from .. import chromium
from ..lasting_browser import open_browser
from ..renderer_memory import renderers
from ..server import SITE, serve_site
from ..visit import Visit
from .judge_report import FIGURES, plot, report
from .slow_connection import serve_slowly, tell_browser
from .slow_renderer import slowed

HERE = Path(__file__).parent
MINILM, CHAT = "minilm-l6", "smollm2-135m-instruct"
MODELS = (
    (MINILM, "wasm", "fp32"), (MINILM, "wasm", "q4"), (CHAT, "wasm", "q4_1"), (CHAT, "wasm", "q3"),
    (CHAT, "wasm_small", "q4_1"),
)  # fmt: skip
DEFAULTS = tuple(model for model in MODELS if model[2] in ("q4", "q4_1"))
"""What is measured on a slowed CPU too."""
CONDITIONS = ((2, 1), (1, 1), (2, 4), (1, 2), (2, 2), (1, 4))
"""Threads, and how many times slower: the models of the lab have one each, in turn."""
LIMITS_MB = (100, 300, 700, 2000)
LATENCY_SECONDS = 0.02
PAGE = 65536
LAUNCH: dict[str, Any] = {"executable_path": chromium.find(), "args": chromium.FLAGS}

ANSWER = """
  const model = await pesoleve.load(argument.id, argument);
  if (!argument.writes) await model.run(['flying in bad weather on a cold morning at sea']);
  else {
    const messages = [{ role: 'user', content: 'Explain gravity to a six-year-old.' }];
    for await (const _ of model.generate(messages, { max_new_tokens: 32 }));
  }
"""
VISIT_BEFORE = f"""
  {ANSWER}
  await new Promise((resolve) => setTimeout(resolve, 3000)); // the browser keeps what it compiled
  await model.dispose();
"""
ONE = f"""
  await new Promise((resolve) => setTimeout(resolve, 1000)); // somebody looks at the page
  const verdict = await pesoleve.weigh(argument.id, argument);
  const frozen = structuredClone(verdict);
  const closer = argument.closer
    ? await pesoleve.weigh(argument.id, {{ ...argument, surrogate: true }})
    : verdict;
  {ANSWER}
  const {{ measuredFigures }} = await import(new URL('../js/pairs.js', location.href));
  const measured = measuredFigures(model.stats);
  const {{ rates }} = await import(new URL('../js/probe.js', location.href)).then(
    async ({{ probe }}) => ({{ rates: await probe() }}));
  await model.dispose();
  return {{ verdict: frozen, closer: structuredClone(closer), measured, rates }};
"""
TRY = """
  const verdict = await pesoleve.weigh(argument.id, argument);
  let loaded = true;
  let code = '';
  try {
    const model = await pesoleve.load(argument.id, argument);
    await model.dispose();
  } catch (error) {
    loaded = false;
    code = error.code;
  }
  return { verdict: verdict.verdict, loaded, code };
"""


@dataclass(frozen=True)
class Case:
    id: str
    device: str
    dtype: str
    threads: int
    slower: float = 1
    megabits: float | None = None


@dataclass(frozen=True)
class Judged:
    case: Case
    predicted: dict[str, Any]
    closer: dict[str, Any]
    """By the model cut to a few layers."""
    measured: dict[str, float]
    closer_measured: dict[str, float]
    """Another first visit: timing a few layers fetches the runtime, which a load then does not."""
    rates: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """What was said, and what came of it, with ``limit_mb`` of WebAssembly memory."""

    id: str
    device: str
    limit_mb: int
    verdict: str
    loaded: bool
    code: str


def cases() -> Iterator[Case]:
    models = json.loads((SITE / "models/catalog.json").read_text(encoding="utf-8"))["models"]
    lab = (model for model in models if model["task"] == "text_classification")
    for model, (threads, slower) in zip(lab, cycle(CONDITIONS), strict=False):
        yield Case(model["id"], "wasm", model["default_dtype"], threads, slower)
    for id, device, dtype in MODELS:
        yield Case(id, device, dtype, threads=2)
    for threads in (2, 1):
        for slower in (1, 2, 4) if threads == 1 else (2, 4):
            for id, device, dtype in DEFAULTS:
                yield Case(id, device, dtype, threads, slower)
    for megabits in (5, 20, 100):
        yield Case(MINILM, "wasm", "q4", 2, 1, megabits)
    for megabits in (20, 100):
        yield Case(CHAT, "wasm", "q4_1", 2, 1, megabits)


def measure(playwright: Playwright, site: str, case: Case) -> Judged:
    closer = visit_once(playwright, site, case, closer=True)
    told = closer if case.megabits is None else visit_once(playwright, site, case, closer=False)
    return Judged(
        case,
        figures(told["verdict"]),
        figures(closer["closer"]),
        told["measured"],
        closer["measured"],
        told["rates"],
    )


def visit_once(playwright: Playwright, site: str, case: Case, *, closer: bool) -> dict[str, Any]:
    """Weigh a model, by a few of its layers too if ``closer``, then load and run it."""
    # A profile on the disk: a private window, which is what other contexts are, keeps no model.
    with (
        TemporaryDirectory() as profile,
        open_browser(playwright, Path(profile), LAUNCH, {"service_workers": "block"}) as browser,
    ):
        context = browser.context
        argument = {
            "id": case.id, "device": case.device, "dtype": case.dtype, "writes": case.id == CHAT,
        }  # fmt: skip
        if case.megabits is None:
            earlier = Visit(context.new_page())
            earlier.open_blank(site)
            earlier.page.set_default_timeout(0)
            earlier.run_module(VISIT_BEFORE, argument)
            earlier.page.close()
        page = context.new_page()
        visit = Visit(page)
        if case.megabits is not None:
            tell_browser(context.new_cdp_session(page), case.megabits, LATENCY_SECONDS)
        visit.open_blank(site)
        page.set_default_timeout(0)
        # All of this browser's: the page may go on in the one that the visit before had.
        with slowed(renderers(), case.slower):
            told: dict[str, Any] = visit.run_module(ONE, {**argument, "closer": closer})
    return told


def figures(verdict: dict[str, Any]) -> dict[str, Any]:
    return {**verdict["seconds"], **{name: verdict[name] for name in FIGURES if name in verdict}}


def try_limits(playwright: Playwright) -> list[Fitted]:
    found = []
    for limit in LIMITS_MB:
        pages = limit * 1_000_000 // PAGE
        flags = [*chromium.FLAGS, f"--js-flags=--wasm-max-mem-pages={pages}"]
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=flags)
        with serve_site() as site:
            for id, device in ((MINILM, "wasm"), (CHAT, "wasm"), (CHAT, "wasm_small")):
                with browser.new_context(service_workers="block") as context:
                    visit = Visit(context.new_page())
                    visit.open_blank(site)
                    limits = {"wasm_memory": pages * PAGE}
                    told = visit.run_module(TRY, {"id": id, "device": device, "limits": limits})
                    found.append(Fitted(id, device, limit, **told))
                    print(found[-1], flush=True)
        browser.close()
    return found


def main() -> None:
    with sync_playwright() as playwright:
        fitted = try_limits(playwright)
        judged = []
        with serve_site() as isolated, serve_site(isolation=False) as plain:
            for case in cases():
                if case.megabits is None:
                    site = isolated if case.threads > 1 else plain
                    judged.append(measure(playwright, site, case))
                else:
                    with serve_slowly(case.megabits, LATENCY_SECONDS) as slow:
                        judged.append(measure(playwright, slow, case))
                print(judged[-1], flush=True)
    results = {"judged": [asdict(row) for row in judged], "fitted": [asdict(row) for row in fitted]}
    (HERE / "judged.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = report(results)
    (HERE / "judged.md").write_text(text, encoding="utf-8")
    plot(results, HERE / "judged.svg")
    print(text)


if __name__ == "__main__":
    main()
