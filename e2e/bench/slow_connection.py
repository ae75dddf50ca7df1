"""A slow connection: a server that lets so many bytes a second through, of all its answers together.

Chromium's own throttle (CDP ``Network.emulateNetworkConditions``) holds back what is compressed far
more than what is not: at 100 Mbit/s, 1.5 MB of brotli take it 0.6 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import CDPSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import create_app

from ..server import SITE, serve_app

CHUNK = 16384

LATE_SECONDS = 0.005
"""A line that was free for less was not idle: whoever waited for it was woken late."""


class Line:
    """What a connection has let through, on the clock of whoever asks."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0
        """When it is."""

    def wait(self, size: int, now: float) -> float:
        """Return for how many seconds ``size`` more bytes, there at ``now``, are on their way."""
        idle = now - self._free > LATE_SECONDS
        self._free = (now if idle else self._free) + size / self._rate
        return max(0, self._free - now)


class SlowConnection:
    """Middleware: answers wait for ``latency`` seconds, and share ``rate`` bytes a second."""

    def __init__(self, app: ASGIApp, rate: float, latency: float) -> None:
        self._app = app
        self._line = Line(rate)
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._latency)

        async def paced(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            body = message.get("body", b"")
            for at in range(0, max(len(body), 1), CHUNK):
                piece = body[at : at + CHUNK]
                await asyncio.sleep(self._line.wait(len(piece), asyncio.get_running_loop().time()))
                more = at + CHUNK < len(body) or message.get("more_body", False)
                await send({**message, "body": piece, "more_body": more})

        await self._app({**scope, "extensions": {}}, receive, paced)


@contextmanager
def serve_slowly(megabits: float, latency: float, *, isolation: bool = True) -> Iterator[str]:
    """Serve the site over such a connection until the block ends; yields its address."""
    app = create_app(SITE, isolation=isolation)
    with serve_app(SlowConnection(app, megabits * 1e6 / 8, latency)) as address:
        yield address


def tell_browser(cdp: CDPSession, megabits: float, latency: float) -> None:
    """Have ``navigator.connection`` say what it would on such a connection: it estimates none to this
    machine."""
    rate = megabits * 1e6 / 8
    cdp.send(
        "Network.overrideNetworkState",
        {"offline": False, "latency": 1000 * latency, "downloadThroughput": rate,
         "uploadThroughput": rate},
    )  # fmt: skip
