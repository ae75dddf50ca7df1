"""How wrong the page is: what its cards say before the click, beside what they say after.

The judge (``judge.py``) asks a blank page; this opens the real one, with all else that it does, in
visits to this machine, first and second, and in first ones on slow connections, the renderer as it is
and slowed four times. The pairs are those that the page keeps.

Writes ``judged_page.md`` beside this file, in a quarter of an hour.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from .. import chromium
from ..lasting_browser import open_browser
from ..renderer_memory import renderers
from ..server import serve_site
from ..visit import Visit
from .judge_cases import CHAT, MINILM
from .judge_report import FIGURES
from .slow_connection import serve_slowly, tell_browser
from .slow_renderer import slowed

REPORT = Path(__file__).parent / "judged_page.md"
MODELS = ((MINILM, "q4"), (MINILM, "q8"), (MINILM, "fp32"), (CHAT, "q4_1"))
CONNECTIONS = (None, 100, 20)
"""Megabits a second; None is this machine's own."""
LATENCY_SECONDS = 0.02
LAUNCH: dict[str, Any] = {"executable_path": chromium.find(), "args": chromium.FLAGS}
LOOKING_MILLISECONDS = 2000
TIMEOUT = 300_000
TYPED = "a storm that nobody at sea had been warned of by anybody"
TYPE = """async (text) => {
  const field = document.querySelector('.search__query input');
  for (let length = 1; length <= text.length; length++) {
    field.value = text.slice(0, length);
    field.dispatchEvent(new InputEvent('input'));
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}"""
"""By the page itself: keys that come from outside take half of this CPU."""

DECIDED = "() => document.querySelector('pl-model-card').verdict?.dtype === '{dtype}'"
LAST_PAIR = """() => {
  const pair = JSON.parse(localStorage.getItem('pesoleve.pairs.1') ?? '[]').at(-1);
  return pair?.measured.first_token === undefined || pair.id !== '%s' ? null : pair;
}"""


@dataclass(frozen=True)
class Seen:
    """One visit: the pair that the page keeps once the model has answered, and after some typing."""

    id: str
    dtype: str
    megabits: int | None
    slower: int
    again: bool
    pair: dict[str, Any]
    later: dict[str, Any]


def visits(playwright: Playwright) -> Iterator[Seen]:
    for slower, megabits, (id, dtype) in product((1, 4), CONNECTIONS, MODELS):
        if id == CHAT and (megabits, slower) == (20, 4):
            continue  # says nothing that the others do not, in minutes
        with (
            connection(megabits) as site,
            TemporaryDirectory() as profile,
            open_browser(playwright, Path(profile), LAUNCH, {"locale": "en-US"}) as browser,
        ):
            for again in (False, True) if megabits is None else (False,):
                if again:  # as on a day when what was measured has been forgotten
                    forget(browser.context, site)
                pair, later = visit(browser.context, site, id, dtype, megabits, slower)
                yield Seen(id, dtype, megabits, slower, again, pair, later)


def connection(megabits: int | None) -> AbstractContextManager[str]:
    return serve_site() if megabits is None else serve_slowly(megabits, LATENCY_SECONDS)


def forget(context: BrowserContext, site: str) -> None:
    with context.new_page() as page:
        Visit(page).open_blank(site)
        page.evaluate("localStorage.clear()")


def visit(
    context: BrowserContext, site: str, id: str, dtype: str, megabits: int | None, slower: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Look at the card, load the model, use it; return both pairs."""
    with context.new_page() as page:
        return look_and_load(page, site, id, dtype, megabits, slower)


def look_and_load(
    page: Page, site: str, id: str, dtype: str, megabits: int | None, slower: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    page.set_default_timeout(TIMEOUT)
    if megabits is not None:
        tell_browser(page.context.new_cdp_session(page), megabits, LATENCY_SECONDS)
    page.goto(f"{site}icon.svg")  # so that there is a renderer to be slowed
    with slowed(renderers(), slower):
        Visit(page).open(site, f"?model={id}")
        if page.locator(f"input[name=dtype][value={dtype}]").count():
            page.locator(f"input[name=dtype][value={dtype}]").check()
        page.wait_for_function(DECIDED.format(dtype=dtype))
        page.wait_for_timeout(LOOKING_MILLISECONDS)
        page.locator("pl-model-card .button").first.click()
        if id == CHAT:
            message = page.get_by_label("Your message")
            message.fill("Explain gravity to a six-year-old.")
            message.press("Enter")
            pair = kept(page, id)
            return pair, pair
        pair = kept(page, id)
        page.evaluate(TYPE, TYPED)
        page.wait_for_timeout(LOOKING_MILLISECONDS)
        return pair, kept(page, id)


def kept(page: Page, id: str) -> dict[str, Any]:
    return dict(page.wait_for_function(LAST_PAIR % id).json_value())


def report(seen: list[Seen]) -> str:
    lines = [
        f"# What the page says before the click and after: {datetime.now(UTC):%Y-%m-%d}",
        "",
        "`python -m e2e.bench.judge_page`: the real page, in visits to this machine, first and second, "
        "and in first ones on slow connections, the renderer as it is and slowed four times. Each "
        "figure is as the page keeps it: of a first answer once the first sentences are ranked, while "
        f"the browser still compiles, and after {len(TYPED)} keys more. "
        "A star is outside of its interval.",
        "",
        "| figure | n | median error | inside the interval |",
        "|---|---:|---:|---:|",
    ]
    for label, found in figures(seen):
        if not found:
            continue
        errors = [abs(told["value"] - got) / got for told, got in found]
        inside = [told["low"] <= got <= told["high"] for told, got in found]
        error, share = statistics.median(errors), statistics.mean(inside)
        lines.append(f"| {label} | {len(found)} | {error:.0%} | {share:.0%} |")
    lines += [
        "",
        "| model | dtype | visit | slowed | " + " | ".join(FIGURES.values()) + " | after typing |",
        "|---|---|---|---:|" + "---:|" * (len(FIGURES) + 1),
        *map(line, seen),
    ]
    return "\n".join([*lines, ""])


def figures(seen: list[Seen]) -> Iterator[tuple[str, list[tuple[dict[str, Any], float]]]]:
    for name, label in FIGURES.items():
        yield label, list(told_and_got(name, [visit.pair for visit in seen]))
        if name == "first_token":
            read = [visit.later for visit in seen if visit.id != CHAT]
            yield "a sentence after typing, s", list(told_and_got(name, read))


def told_and_got(name: str, pairs: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], float]]:
    for pair in pairs:
        told, got = pair["predicted"].get(name), pair["measured"].get(name)
        if told is not None and got:
            yield told, got


def line(seen: Seen) -> str:
    where = "this machine" if seen.megabits is None else f"{seen.megabits} Mbit/s"
    when = "second, " if seen.again else "first, "
    later = "" if seen.id == CHAT else cell("first_token", seen.later)
    figures = [cell(name, seen.pair) for name in FIGURES]
    cells = [seen.id, seen.dtype, when + where, f"{seen.slower}", *figures, later]
    return f"| {' | '.join(cells)} |"


def cell(name: str, pair: dict[str, Any]) -> str:
    scale = 1e-6 if name == "memory" else 1
    found = list(told_and_got(name, [pair]))
    if not found:
        return ""
    told, got = found[0]
    outside = "" if told["low"] <= got <= told["high"] else " *"
    return f"{scale * told['value']:.3g} → {scale * got:.3g}{outside}"


def main() -> None:
    seen = []
    with sync_playwright() as playwright:
        for one in visits(playwright):
            print(f"{datetime.now():%H:%M:%S} {line(one)}", flush=True)
            seen.append(one)
    text = report(seen)
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
