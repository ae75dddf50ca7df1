"""The site under fire: faults by plan, and a record of every request and of the bytes it was answered with.

    server = FaultyServer(app, [Fault("cut", shard.path, after=100_000)])

A fault meets the requests whose path ends with ``path``, ``times`` times, in the order of the plan; where
several meet the same request, the later ones see what the earlier ones made of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import ISOLATION, SECURITY, AddHeaders, SiteFiles, create_app

from .server import SITE, OtherModels, serve_app

Kind = Literal[
    "cut",  # the connection is closed after a byte of the file that was promised whole
    "stall",  # nothing comes after a byte of the file, and the connection stays open
    "corrupt",  # one byte of the file is another
    "padded",  # zeros from a byte of the file on
    "short",  # the file ends at a byte, and its length says so
    "status",  # an answer without the file: 404, 429 with `retry_after`, 500 …
    "wrong_range",  # another range than was asked for, and says so
    "lying_range",  # another range than was asked for, and says that it is the right one
    "no_ranges",  # ranges are ignored: always the whole file
    "slow",  # 32 KiB at a time, `seconds` apart
    "mime_type",  # `value` for a Content-Type
    "no_isolation",  # none of COOP, COEP and CORP
    "replaced",  # `content` in place of the file
]
PIECE = 32 << 10
SHIFT = 1000
"""How far off a wrong range is, in bytes."""


@dataclass
class Fault:
    kind: Kind
    path: str
    times: int | None = 1
    """How many requests it meets; None is all of them."""
    ranges: bool | None = None
    """True meets only requests for a range, False only the others."""
    after: int = 0
    """The byte of the file at which it happens, of a range too."""
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0
    value: str = ""
    content: bytes = b""
    met: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once a stalling answer has sent all that it will."""

    def meets(self, path: str, range_: str | None) -> bool:
        if not path.endswith(self.path) or (self.times is not None and self.met >= self.times):
            return False
        return self.ranges is None or self.ranges == (range_ is not None)


@dataclass
class Asked:
    """A request, and what it got: ``sent`` counts the body's bytes, compressed as they went."""

    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


class Cut(Exception):
    """The connection is to be closed; uvicorn does so where an answer is not complete."""


class FaultyServer:
    """Middleware around the whole site."""

    def __init__(self, app: ASGIApp, plan: Sequence[Fault] = ()) -> None:
        self._app = app
        self.plan = list(plan)
        self.asked: list[Asked] = []
        """Since it was last cleared."""
        self.closing = False

    def sent(self, path: str) -> int:
        """Bytes of bodies for what ends with ``path``."""
        return sum(asked.sent for asked in self.asked if asked.path.endswith(path))

    def requests(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith(path)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        asked = Asked(scope["path"], headers.get("range"), headers.get("if-range"))
        self.asked.append(asked)
        app = self._app
        for fault in self.plan:
            if fault.meets(asked.path, asked.range):
                fault.met += 1
                app = partial(FAULTS[fault.kind], self, fault, app)

        async def count(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            asked.sent += len(message.get("body", b""))

        try:
            await app({**scope, "extensions": {}}, receive, count)
        except Cut:
            return

    async def until_left(self, receive: Receive) -> None:
        """Wait until the client has gone, or the server is to go."""
        while not self.closing:
            try:
                message = await asyncio.wait_for(receive(), 0.1)
            except TimeoutError:
                continue
            if message["type"] == "http.disconnect":
                return


Handler = Callable[[FaultyServer, Fault, ASGIApp, Scope, Receive, Send], Awaitable[None]]


class Body:
    """Passes an answer on, each piece of its body with the byte of the file at which it begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.at = 0

    async def start(self, message: Message) -> None:
        content_range = Headers(raw=message["headers"]).get("content-range", "")
        if message["status"] == 206:
            self.at = int(content_range.removeprefix("bytes ").split("-")[0])
        await self._send(message)

    async def piece(self, body: bytes, more: bool) -> None:
        self.at += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def end_at(
    server: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``cut`` and ``stall``."""
    out = Body(send)

    async def limited(message: Message) -> None:
        if message["type"] == "http.response.start":
            await out.start(message)
            return
        body = message.get("body", b"")
        left = max(0, fault.after - out.at)
        if len(body) < left:
            await out.piece(body, message.get("more_body", False))
            return
        await out.piece(body[:left], True)
        fault.reached.set()
        if fault.kind == "stall":
            await server.until_left(receive)
        raise Cut

    await app(scope, receive, limited)


async def change(
    _: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``corrupt`` and ``padded``."""
    out = Body(send)

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            await out.start(message)
            return
        body = bytearray(message.get("body", b""))
        first = fault.after - out.at
        if fault.kind == "padded":
            first = max(0, first)
            body[first:] = bytes(len(body[first:]))
        elif 0 <= first < len(body):
            body[first] ^= 1
        await out.piece(bytes(body), message.get("more_body", False))

    await app(scope, receive, changed)


async def answer(send: Send, status: int, headers: dict[str, str], content: bytes) -> None:
    headers = SECURITY | ISOLATION | headers | {"Content-Length": str(len(content))}
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def refuse(
    _: FaultyServer, fault: Fault, _app: ASGIApp, _scope: Scope, _receive: Receive, send: Send
) -> None:
    retry = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    await answer(send, fault.status, {"Content-Type": "text/html"} | retry, b"<p>Not today.</p>")


async def collect(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
    """What ``app`` answers, whole."""
    status, headers, body = 0, Headers(), b""

    async def keep(message: Message) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status, headers = message["status"], Headers(raw=message["headers"])
        body += message.get("body", b"")

    await app(scope, receive, keep)
    return status, headers, body


def asking(scope: Scope, range_: str | None) -> Scope:
    """The same request for another range, whatever it has already."""
    left = [(k, v) for k, v in scope["headers"] if k not in (b"range", b"if-range")]
    return {**scope, "headers": left if range_ is None else [*left, (b"range", range_.encode())]}


async def replace(
    _: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``short`` and ``replaced``: another file, without ranges."""
    _status, headers, body = await collect(app, asking(scope, None), receive)
    content = body[: fault.after] if fault.kind == "short" else fault.content
    await answer(send, 200, {"Content-Type": headers["content-type"]}, content)


async def shift_range(
    _: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``wrong_range`` and ``lying_range``."""
    asked = Headers(scope=scope)["range"]
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    _status, found, body = await collect(app, asking(scope, f"bytes={start - SHIFT}-"), receive)
    span, total = found["content-range"].removeprefix("bytes ").split("/")
    last = int(span.split("-")[1])
    if fault.kind == "lying_range":
        span, body = f"{start}-{last}", body[: last - start + 1]
    headers = {"Content-Type": found["content-type"], "Content-Range": f"bytes {span}/{total}"}
    await answer(send, 206, headers | {"ETag": found["etag"]}, body)


async def ignore_ranges(
    _: FaultyServer, _fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    await app(asking(scope, None), receive, send)


async def slow_down(
    _: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    async def slowed(message: Message) -> None:
        body = message.get("body", b"")
        for at in range(0, len(body), PIECE):
            last = at + PIECE >= len(body)
            more = message.get("more_body", False) or not last
            await send({**message, "body": body[at : at + PIECE], "more_body": more})
            await asyncio.sleep(fault.seconds)
        if not body:
            await send(message)

    await app(scope, receive, slowed)


async def change_headers(
    _: FaultyServer, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``mime_type`` and ``no_isolation``."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            if fault.kind == "mime_type":
                headers["content-type"] = fault.value
            else:
                for name in ISOLATION:
                    del headers[name]
            message = {**message, "headers": headers.raw}
        await send(message)

    await app(scope, receive, changed)


FAULTS: dict[Kind, Handler] = {
    "cut": end_at,
    "stall": end_at,
    "corrupt": change,
    "padded": change,
    "short": replace,
    "replaced": replace,
    "status": refuse,
    "wrong_range": shift_range,
    "lying_range": shift_range,
    "no_ranges": ignore_ranges,
    "slow": slow_down,
    "mime_type": change_headers,
    "no_isolation": change_headers,
}


@contextmanager
def serve_faulty(models: Path, plan: Sequence[Fault] = ()) -> Iterator[tuple[str, FaultyServer]]:
    """Serve the site with ``models`` for its own; yields its address and the server, whose plan may change."""
    files = AddHeaders(SiteFiles(models), SECURITY | ISOLATION)
    server = FaultyServer(OtherModels(create_app(SITE), files), plan)
    with serve_app(server) as address:
        try:
            yield address, server
        finally:
            server.closing = True
