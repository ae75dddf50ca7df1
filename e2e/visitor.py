"""A visitor whose browser lets the site keep itself: pages one after another, and side by side."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import BrowserContext, expect

from .visit import MINILM, Visit

READY = 120_000

SHA256 = """async (path) => {
  const response = await fetch(new URL(path, location.href), { cache: 'no-store' });
  const digest = await crypto.subtle.digest('SHA-256', await response.arrayBuffer());
  return [...new Uint8Array(digest, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}"""

KEPT = """async () => {
  const names = await caches.keys();
  const keys = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
  const scope = new URL('.', location.href).href;
  return keys.flat().map(({ url }) => url.slice(scope.length) || 'index.html');
}"""


class OfflineVisit(Visit):
    """A page that a service worker may serve."""

    def expect_kept(self) -> None:
        """The page says that it works offline."""
        expect(self.page.locator(".offline--kept")).to_be_visible(timeout=READY)

    def expect_update(self) -> None:
        """The page says that a newer version waits."""
        expect(self.page.locator(".offline--update")).to_contain_text("A new version", timeout=READY)

    def load(self) -> Any:
        """Load the model, see it rank, and return its stats."""
        self.page.locator("pl-model-card .button").first.click()
        expect(self.page.locator(".ranking__row").first).to_contain_text("A pilot", timeout=READY)
        return self.page.evaluate("document.querySelector('pl-page').current.state.model.stats")

    def expect_no_load(self) -> None:
        """Try to load the model, and see it fail."""
        self.page.locator("pl-model-card .button").first.click()
        expect(self.page.get_by_role("alert")).to_be_visible(timeout=READY)

    def served(self, paths: list[str]) -> dict[str, str]:
        """Half of the sha256 of what this page gets for each path."""
        return {path: self.page.evaluate(SHA256, path) for path in paths}

    def kept(self) -> set[str]:
        """The paths of what is kept, of every version."""
        return set(self.page.evaluate(KEPT))

    def expect_to_keep(self, paths: set[str]) -> None:
        for _ in range(200):
            if paths <= self.kept():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not kept: {paths - self.kept()}")

    def is_isolated(self) -> bool:
        return bool(self.page.evaluate("crossOriginIsolated"))


class Visitor:
    def __init__(self, context: BrowserContext) -> None:
        self.context = context

    def open(self, site: str, query: str = MINILM) -> OfflineVisit:
        """Open the page in a new tab and wait until it says what the model costs."""
        visit = OfflineVisit(self.context.new_page())
        visit.open(site, query)
        return visit

    def open_kept(self, site: str) -> OfflineVisit:
        visit = self.open(site)
        visit.expect_kept()
        return visit

    def open_updated(self, site: str) -> OfflineVisit:
        """Open the page in the version that waited; a browser changes over once the old one rests."""
        for _ in range(20):
            visit = self.open(site)
            expect(visit.page.locator(".offline--kept, .offline--update")).to_be_visible()
            if visit.page.locator(".offline--kept").count():
                return visit
            visit.page.close()
            with self.context.new_page() as blank:
                blank.wait_for_timeout(500)
        raise AssertionError("The old version stays.")
