"""A new version of the page: old pages go on with their own files, and new ones get no other."""

from __future__ import annotations

from playwright.sync_api import expect

from pesoleve.site_files import RUNTIMES

from .site_copy import SiteCopy
from .visitor import Visitor


def publish(copy: SiteCopy) -> None:
    """A new version: other words, other styles, and other scripts of the page and of its workers."""
    for locale in ("en", "pt-BR"):
        words = copy.read(f"locales/{locale}.json")
        copy.write(f"locales/{locale}.json", words.replace(b'"Peso Leve', b'"Novo Peso Leve'))
    copy.append("index.html", "<!-- new -->")
    copy.append("styles/base.css", "/* new */")
    for script in ("js/page.js", "js/start.js", "worker/worker.js", "worker/tokenizer_host.js"):
        copy.append(script, "// new")


def test_an_old_page_goes_on_with_its_own_files_and_the_next_gets_the_new_ones_whole(
    copy: SiteCopy, visitor: Visitor
) -> None:
    with copy.serve() as site:
        old = visitor.open_kept(site)
        for name in ("somebody else's", f"pesoleve {site}elsewhere/ 0123456789abcdef"):
            old.page.evaluate("(name) => caches.open(name)", name)
        before = copy.page_files()
        publish(copy)
        after = copy.page_files()
        assert before != after
        second = visitor.open(site)  # a navigation, at which the browser looks for an update
        old.expect_update()
        second.expect_update()
        for page in (old, second):
            expect(page.page).to_have_title("Peso Leve: is this model light enough for a page?")
            assert page.served(list(before)) == before
        # Workers and what they import are as old as the page, though it asks for them only now.
        old.load()
        assert old.served(list(before)) == before
        old.expect_clean(site)
        old.page.close()
        second.page.close()
        copy.answered.clear()
        new = visitor.open_updated(site)
        expect(new.page).to_have_title("Novo Peso Leve: is this model light enough for a page?")
        assert new.served(list(after)) == after
        new.load()
        # The runtimes are as they were, and come from the old version's cache.
        assert copy.sent(*RUNTIMES) == 0
        names = new.page.evaluate("caches.keys()")
        assert len(names) == 3, names
        new.expect_clean(site)


def test_a_page_reloaded_past_the_service_worker_gets_workers_of_its_own_age(
    copy: SiteCopy, visitor: Visitor
) -> None:
    with copy.serve() as site:
        old = visitor.open_kept(site)
        publish(copy)
        page = visitor.open(site)
        page.expect_update()
        copy.answered.clear()
        cdp = visitor.context.new_cdp_session(page.page)
        with page.page.expect_navigation():
            cdp.send("Page.reload", {"ignoreCache": True})
        expect(page.page).to_have_title("Novo Peso Leve: is this model light enough for a page?")
        page.load()
        # Its workers are from where it is, though the old version would have them at hand.
        asked = {answer.path for answer in copy.answered}
        assert {"js/start.js", "worker/worker.js", "worker/tokenizer_host.js"} <= asked
        expect(old.page).to_have_title("Peso Leve: is this model light enough for a page?")
        page.expect_clean(site)


def test_a_newer_runtime_is_not_given_to_an_old_page(copy: SiteCopy, visitor: Visitor) -> None:
    with copy.serve() as site:
        page = visitor.open_kept(site)
        copy.append("vendor/zstd/zstddec.js", "// new")
        page.expect_no_load()
        page.expect_update()
        page.page.close()
        page = visitor.open_updated(site)
        page.load()
        assert page.served(["vendor/zstd/zstddec.js"]).items() <= copy.listed().items()


def test_a_damaged_runtime_is_not_kept(copy: SiteCopy, visitor: Visitor) -> None:
    path = "vendor/zstd/zstddec.js"
    with copy.serve() as site:
        page = visitor.open_kept(site)
        copy.damaged[path] = copy.read(path) + b"// damaged on its way"
        page.expect_no_load()
        assert path not in page.kept()
        del copy.damaged[path]
        page.page.reload()
        page.page.get_by_test_id("plan-total").wait_for()
        page.load()
        page.expect_to_keep({path})
        assert page.served([path]).items() <= copy.listed().items()


def test_a_version_that_does_not_arrive_whole_changes_nothing(copy: SiteCopy, visitor: Visitor) -> None:
    with copy.serve() as site:
        visitor.open_kept(site).page.close()
        before = copy.page_files()
        publish(copy)
        copy.damaged["js/start.js"] = b"throw new Error('half a file');"
        page = visitor.open(site)
        page.page.wait_for_timeout(2000)
        assert copy.sent("js/start.js") > 0  # it was tried
        page.page.close()
        page = visitor.open_kept(site)
        expect(page.page).to_have_title("Peso Leve: is this model light enough for a page?")
        assert page.served(list(before)) == before
        page.expect_clean(site)
        del copy.damaged["js/start.js"]
        page.page.reload()
        page.expect_update()
        page.page.close()
        after = copy.page_files()
        assert visitor.open_updated(site).served(list(after)) == after


def test_a_first_version_that_does_not_arrive_whole_keeps_nothing(
    copy: SiteCopy, visitor: Visitor
) -> None:
    copy.damaged["examples/embed.js"] = b"damaged"
    with copy.serve() as site:
        page = visitor.open(site)
        page.load()
        assert page.page.evaluate("navigator.serviceWorker.controller === null")
        expect(page.page.locator(".offline--kept")).to_have_count(0)
        page.expect_clean(site)


def test_what_the_browser_s_own_cache_still_has_is_not_taken_for_the_new_version(
    copy: SiteCopy, visitor: Visitor
) -> None:
    with copy.serve(max_age=3600) as site:
        visitor.open_kept(site).page.close()
        publish(copy)
        page = visitor.open(site)
        page.expect_update()
        page.page.close()
        after = copy.page_files()
        page = visitor.open_updated(site)
        assert page.served(list(after)) == after
        page.expect_clean(site)
