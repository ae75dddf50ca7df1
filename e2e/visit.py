"""One visit to the page: what it requested, at what cost, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

MINILM = "?model=minilm-l6"
"""The query that asks the page for MiniLM, whichever model is the first."""


@dataclass
class Visit:
    page: Page
    requests: list[Request] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Playwright attaches to the page's workers as well, so theirs are here too.
        self.page.on("requestfinished", lambda request: self.requests.append(request))
        self.page.on("requestfailed", self._keep_failure)
        self.page.on("console", self._keep_message)
        self.page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))

    def _keep_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _keep_failure(self, request: Request) -> None:
        self.errors.append(f"request: {request.url}: {request.failure}")

    def open(self, address: str, query: str = "") -> None:
        """Open the page and wait until it says what the model costs."""
        self.page.goto(f"{address}{query}")
        self.page.get_by_test_id("plan-total").wait_for()

    def open_blank(self, site: str) -> None:
        """Open the example page, which loads nothing until it is asked, to use the module from."""
        self.page.goto(f"{site}examples/embed.html")

    def run_module(self, body: str, argument: Any = None) -> Any:
        """Run an async function body with ``pesoleve``, the module, and ``argument``.

        A PesoLeveError comes back as ``{"error": {code, message, phase, retryable}}``.
        """
        return self.page.evaluate(
            f"""async (argument) => {{
              try {{
                const pesoleve = await import(new URL('../js/pesoleve.js', location.href));
                {body}
              }} catch (error) {{
                if (error.code === undefined) throw error;
                const {{ code, message, phase, retryable }} = error;
                return {{ error: {{ code, message, phase, retryable }} }};
              }}
            }}""",
            argument,
        )

    def body_bytes(self, request: Request) -> int:
        """The encoded body on the wire, from CDP (``Network.loadingFinished``)."""
        return int(request.sizes()["responseBodySize"])

    def bytes_by_path(self) -> dict[str, int]:
        """Every request's path below the site with its body's bytes, repeats added up."""
        sums: dict[str, int] = {}
        for request in self.requests:
            path = urlsplit(request.url).path
            sums[path] = sums.get(path, 0) + self.body_bytes(request)
        return sums

    def total_bytes(self) -> int:
        return sum(self.bytes_by_path().values())

    def expect_clean(self, site: str) -> None:
        """No error anywhere, no request to another origin, and none that sends anything."""
        origin = urlsplit(site).netloc
        sending = [r.url for r in self.requests if r.method not in ("GET", "HEAD") or r.post_data]
        assert not sending, sending
        foreign = [r.url for r in self.requests if urlsplit(r.url).netloc not in (origin, "")]
        assert not foreign, foreign
        assert not self.errors, self.errors
