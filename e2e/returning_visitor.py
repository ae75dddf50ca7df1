"""A visitor whose browser keeps what V8 compiled, and nothing that a page stored."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Request


class ReturningVisitor:
    """One browser for test after test; ``forget`` between them.

    Its HTTP cache is kept, because what was compiled belongs to what is in it. No model is: those are
    fetched past it (``no-store``).
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        # A browser without a page would end.
        self._blank: Page = context.pages[0]
        self._session = context.new_cdp_session(self._blank)
        self._origins: set[str] = set()
        context.on("request", self._keep_origin)

    def _keep_origin(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https"):
            self._origins.add(f"{parts.scheme}://{parts.netloc}")

    def forget(self) -> None:
        """Close all pages, and clear what their origins stored and what a test made of this browser."""
        for page in self.context.pages:
            if page is not self._blank:
                page.close()
        for origin in self._origins:
            self._session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self._origins.clear()
        self.context.unroute_all()
        self.context.clear_permissions()
        self.context.set_offline(False)
