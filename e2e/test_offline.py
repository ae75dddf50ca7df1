"""The page without a network, and with threads on a host that cannot set headers."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Frame, expect

from pesoleve.site_files import RUNTIMES

from .server import serve_site
from .site_copy import SiteCopy
from .visitor import READY, OfflineVisit, Visitor

WORKER = "service_worker.js"

TWICE = {"", "vendor/site_files.js", WORKER}
"""What a browser asks for anew to look for an update, and the page, as a navigation is cached apart."""


def fetched_twice(copy: SiteCopy) -> list[str]:
    whole = [answer.path for answer in copy.answered if answer.status == 200 and answer.bytes > 0]
    return sorted({path for path in whole if whole.count(path) > 1} - TWICE)


def test_after_one_visit_everything_works_without_a_network(
    copy: SiteCopy, visitor: Visitor, budgets: dict[str, int]
) -> None:
    with copy.serve(base_path="/some/folder/") as site:
        first = visitor.open_kept(site)
        assert copy.sent() < budgets["before_click"]
        assert copy.sent(*RUNTIMES) == 0
        assert set(copy.page_files()) | {"models/catalog.json"} == first.kept()
        stats = first.load()
        # What a service worker fetched for the page is measured as if the page had fetched it.
        assert stats["bytes"]["model"] == copy.sent("models/minilm-l6/")
        assert stats["bytes"]["total"] == copy.sent(*RUNTIMES, "models/minilm-l6/")
        assert fetched_twice(copy) == []
        assert not [path for path in first.kept() if path.endswith(".zst")]
        first.expect_clean(site)
        first.page.close()
        copy.answered.clear()
    # The server is gone, and so is the network.
    visitor.context.set_offline(True)
    again = visitor.open(site)
    expect(again.page.get_by_role("article")).to_contain_text("22,713,216")
    stats = again.load()
    assert stats["bytes"] == {"model": 0, "total": 0}
    assert stats["threads"] > 1
    again.page.get_by_label("What are you looking for?").fill("car repair")
    expect(again.page.locator(".ranking__row").first).to_contain_text("borrowed wrench")
    again.page.get_by_role("button", name="Português").click()
    expect(again.page.locator(".offline--kept")).to_contain_text("funciona offline")
    again.expect_clean(site)
    assert copy.answered == []


def test_a_service_worker_that_comes_late_keeps_what_was_used_before_it(
    copy: SiteCopy, visitor: Visitor
) -> None:
    copy.held.add(WORKER)
    with copy.serve() as site:
        first = visitor.open(site)
        first.load()
        copy.answered.clear()
        copy.held.remove(WORKER)
        first.expect_kept()
        used = {p for p in copy.listed() if p.startswith(RUNTIMES)}
        others = ("jspi", "asyncify", "webgpu", "jinja")  # of a GPU, and of a chat
        used = {path for path in used if not any(part in path for part in others)}
        first.expect_to_keep(used)
        assert copy.sent(*RUNTIMES) == 0  # the browser's own cache had them
        first.page.close()
    assert visitor.open(site).load()["bytes"] == {"model": 0, "total": 0}


def test_a_host_that_cannot_isolate_gets_threads(copy: SiteCopy, visitor: Visitor) -> None:
    with copy.serve(isolation=False) as site:
        first = visitor.open(site)
        # It reloads itself, once, as soon as the service worker is there.
        device = first.page.locator(".scale__device")
        expect(device).not_to_contain_text("One thread.", timeout=READY)
        assert first.is_isolated()
        assert len([a for a in copy.answered if a.destination == "document"]) == 1
        assert first.load()["threads"] > 1
        # The example page of the same site is isolated too, and its workers start.
        first.open_blank(site)
        first.page.get_by_role("button").click()
        expect(first.page.get_by_role("status")).to_contain_text("Cosine 0.", timeout=READY)
        assert first.is_isolated()
        first.expect_clean(site)


def test_a_page_in_use_is_not_reloaded_to_be_isolated(copy: SiteCopy, visitor: Visitor) -> None:
    copy.held.add(WORKER)
    with copy.serve(isolation=False) as site:
        typed = visitor.open(site)
        typed.page.get_by_role("radio", name="q8").check()
        loaded = visitor.open(site)
        loaded.load()
        copy.held.remove(WORKER)
        typed.expect_kept()
        loaded.expect_kept()
        typed.page.wait_for_timeout(500)
        expect(typed.page.get_by_role("radio", name="q8")).to_be_checked()
        expect(loaded.page.locator(".ranking__row").first).to_be_visible()
        assert not typed.is_isolated()
        assert not loaded.is_isolated()
        typed.page.reload()
        typed.page.get_by_test_id("plan-total").wait_for()
        assert typed.is_isolated()


def test_a_page_that_is_not_isolated_all_the_same_reloads_once(
    copy: SiteCopy, visitor: Visitor
) -> None:
    visitor.context.add_init_script(
        "Object.defineProperty(self, 'crossOriginIsolated', { get: () => false });"
    )
    with copy.serve(isolation=False) as site:
        visit = OfflineVisit(visitor.context.new_page())
        opened: list[Frame] = []
        visit.page.on("framenavigated", lambda frame: opened.append(frame))
        visit.open(site)
        for _ in range(200):
            if len(opened) > 1:
                break
            visit.page.wait_for_timeout(100)
        visit.expect_kept()
        visit.page.wait_for_timeout(1000)
        assert len(opened) == 2


def test_the_newest_list_of_models_that_the_page_can_read(copy: SiteCopy, visitor: Visitor) -> None:
    def publish(title: str, **changes: object) -> None:
        catalog["models"][0]["title"]["en"] = title
        copy.write("models/catalog.json", json.dumps(catalog | changes).encode())

    def expect_title(title: str) -> None:
        visit = visitor.open(site)
        expect(visit.page.get_by_role("article")).to_contain_text(title)
        visit.page.close()

    catalog = json.loads(copy.read("models/catalog.json"))
    with copy.serve() as site:
        visitor.open_kept(site).page.close()
        publish("Heavier than before")
        expect_title("Heavier than before")
        publish("Of another kind", schema_version=99)
        expect_title("Heavier than before")
        copy.damaged["models/catalog.json"] = b"<!doctype html>Pay to use this network"
        expect_title("Heavier than before")
        copy.held.add("models/catalog.json")  # a connection that says nothing
        expect_title("Heavier than before")
        copy.held.clear()
    expect_title("Heavier than before")


@pytest.mark.parametrize(
    "script",
    [
        "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined });",
        """for (const method of ['register', 'getRegistration']) {
             ServiceWorkerContainer.prototype[method] = async () => {
               throw new DOMException('Storage is blocked.', 'SecurityError');
             };
           }""",
        "ServiceWorkerContainer.prototype.register = async () => {};",
    ],
    ids=["insecure or old", "storage blocked", "stubbed"],
)
def test_a_browser_that_keeps_nothing_shows_the_page(
    visitor: Visitor, isolated_site: str, script: str
) -> None:
    visitor.context.add_init_script(script)
    visit = visitor.open(isolated_site)
    visit.load()
    refused = visit.page.locator(".offline--refused")
    expect(refused).to_have_count(1 if "SecurityError" in script else 0)
    visit.expect_clean(isolated_site)


def test_the_page_is_kept_once_the_verdict_is_there(copy: SiteCopy, visitor: Visitor) -> None:
    """A device that keeps files while it is measured is taken for a slower one."""
    page = visitor.context.new_page()
    page.add_init_script(
        """
        const { prototype } = ServiceWorkerContainer;
        const { register } = prototype;
        prototype.register = function (...asked) {
          globalThis.known = document.querySelector('pl-model-card')?.verdict?.basis;
          return register.apply(this, asked);
        };"""
    )
    visit = OfflineVisit(page)
    with copy.serve() as site:
        visit.open(site)
        visit.expect_kept()
        assert page.evaluate("known") == "probe"


def test_whoever_imports_the_module_gets_no_service_worker(visitor: Visitor) -> None:
    with serve_site() as site:
        visit = OfflineVisit(visitor.context.new_page())
        visit.open_blank(site)
        assert visit.run_module("return (await pesoleve.catalog()).length;") > 0
        visit.page.wait_for_timeout(500)
        assert (
            visit.page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)")
            == 0
        )
