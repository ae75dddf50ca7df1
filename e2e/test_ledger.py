"""The page's ledger, row by row: against CDP, against what the server sent, and against the files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import create_app
from pesoleve_worker.catalog import Model

from .accessibility import expect_accessible_in_both_schemes
from .server import SITE, serve_app
from .visit import MINILM, Visit

READY = 120_000
GROUPS = {
    "Page": ("page",),
    "Runtime": ("runtime",),
    "Python": ("Python",),
    "Tokenizer": ("tokenizer",),
    "Weights and graph": ("weights", "graph", "ngrams"),
}
WORKERS = {"worker/worker.js", "worker/compute_worker.js", "worker/files_worker.js"}
"""Scripts that workers start with: the browser process fetches them, and CDP gives them no body."""


CONTROLLED = """() => navigator.serviceWorker.controller !== null || new Promise(
  (resolve) => navigator.serviceWorker.addEventListener('controllerchange', () => resolve(true)))"""


class CountedBodies:
    """Middleware: the bytes of every body that the server sent, by path, with no browser's help."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.sent: dict[str, list[int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def count(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, count)
        if size > 0:
            self.sent.setdefault(below(scope["path"]), []).append(size)

    def total(self) -> dict[str, int]:
        return {path: sum(sizes) for path, sizes in self.sent.items()}


@dataclass(frozen=True)
class Site:
    address: str
    bodies: CountedBodies


@dataclass(frozen=True)
class Row:
    """A row as the page shows it in English."""

    path: str
    role: str
    origin: str
    wire: int
    now: int
    decoded: int
    start: float
    seconds: float


@pytest.fixture
def site() -> Iterator[Site]:
    bodies = CountedBodies(create_app(SITE))
    with serve_app(bodies) as address:
        yield Site(address, bodies)


def below(path: str) -> str:
    """A URL's path as the ledger names its file."""
    return path.lstrip("/") or "index.html"


def load(visit: Visit, address: str) -> None:
    """Load MiniLM and wait until nothing more is fetched."""
    visit.open(address, MINILM)
    load_opened(visit)


def load_opened(visit: Visit) -> None:
    visit.page.locator("pl-model-card .button").click()
    expect(visit.page.locator(".ranking__row").first).to_be_visible(timeout=READY)
    visit.page.wait_for_load_state("networkidle")


def table(page: Page, selector: str) -> list[list[str]]:
    return page.locator(selector).evaluate_all(  # type: ignore[no-any-return]
        "rows => rows.map((row) => [...row.children].map((cell) => cell.textContent.trim()))"
    )


def count(text: str) -> int:
    return int(text.replace(",", ""))


def rows(page: Page) -> dict[str, Row]:
    shown = []
    for path, role, origin, wire, now, decoded, start, seconds, _ in table(
        page, ".ledger__table tbody tr"
    ):
        begun, took = (float(text.split()[0]) for text in (start, seconds))
        shown.append(Row(path, role, origin, count(wire), count(now), count(decoded), begun, took))
    by_path = {row.path: row for row in shown}
    assert len(by_path) == len(shown) > 0, "a file has one row"
    return by_path


def told_by_cdp(visit: Visit) -> dict[str, int]:
    """Bodies by path; CDP takes headers off what a cache answered, and gets below 0."""
    sums: dict[str, int] = {}
    for request in visit.requests:
        path = below(re.sub(r"^https?://[^/]+|[?#].*$", "", request.url))
        sums[path] = sums.get(path, 0) + max(0, visit.body_bytes(request))
    return sums


def expect_the_same(
    visit: Visit, shown: dict[str, Row], sent: dict[str, int], stored: frozenset[str] = frozenset()
) -> None:
    """No file missing on either side, and every figure equal; what is ``stored`` takes no request."""
    cdp = told_by_cdp(visit)
    assert set(cdp) == set(shown) - stored
    now = {path: row.now for path, row in shown.items()}
    assert {p: b for p, b in now.items() if p not in WORKERS} == {
        p: cdp.get(p, 0) for p in shown if p not in WORKERS
    }
    assert all(cdp[path] == 0 for path in WORKERS)
    assert {path: bytes_ for path, bytes_ in now.items() if bytes_ > 0} == sent


def expect_sums(page: Page, shown: dict[str, Row]) -> None:
    body = table(page, ".ledger__totals tbody tr")
    sums = {name: [count(text) for text in figures] for name, *figures in body}
    assert list(sums) == list(GROUPS)
    for name, roles in GROUPS.items():
        of = [row for row in shown.values() if row.role in roles]
        assert of
        assert sums[name] == [
            len(of),
            *(sum(getattr(r, k) for r in of) for k in ("wire", "now", "decoded")),
        ]
    ((_, *total),) = table(page, ".ledger__totals tfoot tr")
    assert [count(text) for text in total] == [
        sum(column) for column in zip(*sums.values(), strict=True)
    ]
    assert total[0] == str(len(shown))


def loaded(model: Model) -> frozenset[str]:
    """The paths of the model's files, shards among them, that a load takes."""
    files = model.wire_files("wasm", model.default_dtype)
    return frozenset(f"models/{file.path}" for file in files)


def expected_role(path: str, models: Mapping[str, str]) -> str:
    folder = re.match(r"vendor/([^/]+)/", path)
    if folder is None or folder[1] in ("archivo", "lit"):
        return models.get(path, "page")
    return "Python" if folder[1] == "pyodide" else "runtime"


def test_every_row_of_a_cold_visit(visit: Visit, site: Site, model: Model) -> None:
    load(visit, site.address)
    shown = rows(visit.page)
    expect_the_same(visit, shown, site.bodies.total())
    files = {f"models/{file.path}": file for file in model.files}
    roles = {path: file.role for path, file in files.items()}
    wanted = loaded(model)
    assert {path for path in shown if path in files} == wanted
    for path, row in shown.items():
        assert row.origin.startswith("network"), path
        assert row.wire == row.now, path
        assert row.role == expected_role(path, roles)
        file = files.get(path)
        assert row.decoded == (file.decoded_bytes if file else (SITE / path).stat().st_size), path
        assert 0 <= row.start < 120 and 0 <= row.seconds < 120
    assert shown["index.html"].start == 0
    # It was measured before (known_speed.py): Playwright loses some of what a probe fetches.
    assert "vendor/probe/probe.wasm" not in shown
    assert min(shown[path].start for path in wanted) > shown["js/page.js"].start
    expect_sums(visit.page, shown)
    visit.expect_clean(site.address)


@pytest.mark.fresh
def test_every_row_of_a_second_visit(visit: Visit, site: Site, model: Model) -> None:
    load(visit, site.address)
    cold = rows(visit.page)
    visit.page.close()
    site.bodies.sent.clear()
    again = Visit(visit.page.context.new_page())
    load(again, site.address)
    warm = rows(again.page)
    expect_the_same(again, warm, site.bodies.total(), loaded(model))
    assert {path: row.wire for path, row in warm.items()} == {
        path: row.wire for path, row in cold.items()
    }
    for path, row in warm.items():
        assert row.now == 0, path
        assert row.origin.startswith("disk"), path
        assert row.decoded == cold[path].decoded, path
    assert {"weights", "graph", "tokenizer"} <= {row.role for row in warm.values()}
    expect_sums(again.page, warm)
    again.expect_clean(site.address)


def test_what_the_service_worker_answered(browser: Browser, site: Site) -> None:
    """What it fetches for the page crosses the network, once; what it has kept costs nothing more."""
    context = browser.new_context(locale="en-US", service_workers="allow")
    first = Visit(context.new_page())
    first.open(site.address, MINILM)
    first.page.evaluate(CONTROLLED)
    load_opened(first)
    for row in rows(first.page).values():
        sent = site.bodies.sent[row.path]
        assert {row.wire} == set(sent), row.path
        # It fetches the page's own for itself: they cross twice, or are here before they are asked for.
        paid = (0, row.wire) if row.role == "page" else (sum(sent),)
        assert row.now in paid, row.path
        assert row.origin.startswith("network") == (row.now > 0), row.path
    first.page.close()
    again = Visit(context.new_page())
    load(again, site.address)
    shown = rows(again.page)
    kept = [row for row in shown.values() if row.origin.startswith("service worker")]
    own = {"index.html", "js/page.js", "worker/worker.js", "locales/en.json"}
    assert own | {"vendor/pyodide/python.snapshot"} <= {row.path for row in kept}
    for row in kept:
        size = (SITE / row.path).stat().st_size
        # Of a worker's own script that it answered, Chromium tells no decoded size.
        assert row.decoded in ({0, size} if row.path in WORKERS else {size}), row.path
    for row in shown.values():
        assert row.now == 0, row.path
        assert {row.wire} == set(site.bodies.sent[row.path]), row.path
    expect_sums(again.page, shown)
    again.expect_clean(site.address)
    context.close()


def saved(page: Page, button: str) -> tuple[str, str]:
    """The name and the text of what a button gives to save, which the policy must let it."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes().decode()


def test_csv_and_har_say_what_the_rows_say(visit: Visit, site: Site) -> None:
    load(visit, site.address)
    shown = rows(visit.page)
    name, text = saved(visit.page, "Save as CSV")
    assert name == "peso-leve.csv"
    lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert len(lines) == len(shown)
    for line in lines:
        row = shown[line["path"]]
        assert line["url"].startswith(site.address)
        assert line["role"] == row.role.lower()
        assert line["from"] == "network"
        figures = [int(line[key]) for key in ("wire_bytes", "bytes", "decoded_bytes")]
        assert figures == [row.wire, row.now, row.decoded]
        assert float(line["start_seconds"]) == pytest.approx(row.start, abs=0.001)
        assert float(line["seconds"]) == pytest.approx(row.seconds, abs=0.001)
    name, text = saved(visit.page, "Save as HAR")
    assert name == "peso-leve.har"
    log = json.loads(text)["log"]
    expect_har(log)
    entries = log["entries"]
    assert len(entries) == len(visit.requests) == sum(int(line["requests"]) for line in lines)
    assert Counter(e["request"]["url"] for e in entries) == Counter(r.url for r in visit.requests)
    assert sum(e["response"]["bodySize"] for e in entries) == sum(row.now for row in shown.values())
    for entry in entries:
        row = shown[below(re.sub(r"^https?://[^/]+|[?#].*$", "", entry["request"]["url"]))]
        assert entry["response"]["content"]["size"] == row.decoded
        # Unchanged files were asked for again: those requests had no body.
        assert entry["response"]["bodySize"] in (0, row.now)
        assert (entry["response"]["bodySize"] == 0) == (entry.get("_fromCache") == "disk")
    visit.expect_clean(site.address)


def expect_har(log: dict[str, Any]) -> None:
    """What HTTP Archive 1.2 requires (http://www.softwareishard.com/blog/har-12-spec/)."""
    assert log["version"] == "1.2"
    assert log["creator"].keys() >= {"name", "version"}
    (page,) = log["pages"]
    assert page.keys() >= {"startedDateTime", "id", "title", "pageTimings"}
    begun = datetime.fromisoformat(page["startedDateTime"])
    for entry in log["entries"]:
        assert entry["pageref"] == page["id"]
        assert entry["cache"] == {}
        assert datetime.fromisoformat(entry["startedDateTime"]) >= begun
        timings = entry["timings"]
        assert min(timings[key] for key in ("send", "wait", "receive")) >= 0
        assert entry["time"] == sum(value for value in timings.values() if value != -1)
        request, response = entry["request"], entry["response"]
        shared = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
        assert request.keys() >= shared | {"method", "url", "queryString"}
        assert response.keys() >= shared | {"status", "statusText", "content", "redirectURL"}
        assert response["content"].keys() >= {"size", "mimeType"}
        assert "/" in response["content"]["mimeType"]
    starts = [entry["startedDateTime"] for entry in log["entries"]]
    assert starts == sorted(starts)


def test_it_can_be_read(browser: Browser, site: Site) -> None:
    """Wide and narrow, in light and dark, in English and Portuguese; it is loaded once. What a language
    changes is words: axe-core, which takes ten seconds, is asked in one."""
    viewport: ViewportSize = {"width": 1280, "height": 900}
    context = browser.new_context(locale="en-US", viewport=viewport, service_workers="block")
    visit = Visit(context.new_page())
    visit.open(site.address, MINILM)
    ledger = visit.page.locator("pl-ledger-panel")
    expect(ledger.get_by_role("heading", name="The ledger")).to_be_visible()
    expect(ledger.get_by_role("table")).to_have_count(0)
    load_opened(visit)
    expect_readable(visit, "Every file, in bytes")
    expect_accessible_in_both_schemes(visit.page, "pl-ledger-panel")  # narrow
    visit.page.set_viewport_size(viewport)
    expect_accessible_in_both_schemes(visit.page, "pl-ledger-panel")
    visit.page.get_by_role("button", name="Português").click()
    heading = ledger.get_by_role("heading", name="O extrato")
    expect(heading).to_be_visible()
    files = expect_readable(visit, "Cada arquivo, em bytes")
    heading.click()
    expect(files).to_have_count(0)
    context.close()


def expect_readable(visit: Visit, name: str) -> Locator:
    """The opened ledger, whose table has this name, can be read at any width; return the table."""
    ledger = visit.page.locator("pl-ledger-panel")
    files = ledger.get_by_role("table", name=name)
    expect(files).to_be_visible()
    # Narrow, its rows are blocks; to assistive technology they are rows all the same.
    weights = files.get_by_role("row").filter(has_text="models/").last
    assert weights.get_by_role("rowheader").count() == 1
    assert weights.get_by_role("cell").count() == 8
    assert files.get_by_role("columnheader").count() == 9
    how = ledger.get_by_role("listitem").filter(has_text="Big request rows")
    if not how.is_visible():
        ledger.get_by_text("DevTools").first.click()
    expect(how).to_be_visible()
    assert not re.findall(r"(?<!/)\b(?:ledger|column|role)\.\w+|\{\w+\}", ledger.inner_text())
    for wide in (1280, 390):
        visit.page.set_viewport_size({"width": wide, "height": 900})
        assert visit.page.evaluate("document.documentElement.scrollWidth") == wide
    return files
