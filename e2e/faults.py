"""What can go wrong with an answer of a server, as middleware around the one that would be right."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import ISOLATION, SECURITY

Kind = Literal[
    "cut",  # the connection is closed after a byte of the file that was promised whole
    "stall",  # nothing comes after a byte of the file, and the connection stays open
    "corrupt",  # one byte of the file is another
    "padded",  # zeros from a byte of the file on
    "short",  # the file ends at a byte, and its length says so
    "status",  # an answer without the file: 404, 429 with `retry_after`, 500 …
    "wrong_range",  # another range than was asked for, which it says
    "lying_range",  # another range than was asked for, which it does not say
    "no_ranges",  # ranges are ignored: always the whole file
    "slow",  # 32 KiB at a time, `seconds` apart
    "mime_type",  # `value` for a Content-Type
    "etag",  # `value` for an ETag
    "no_isolation",  # none of COOP, COEP and CORP
    "replaced",  # `content` in place of the file, as `value`
]
PIECE = 32 << 10
SHIFT = 1000
"""How far off a wrong range is, in bytes."""
BEFORE_A_CUT = 0.6
"""Seconds: what has come, and not been handed to the page, a browser drops with the connection. A busy
machine was seen to take more than 0.2 to hand over a megabyte."""
CLOSES = 15
"""Seconds that a browser may take to close a connection: Chromium at times takes 5."""


@dataclass
class Fault:
    """Of the requests whose path ends with ``path``, lets ``skip`` pass and meets ``times``, or all."""

    kind: Kind
    path: str
    times: int | None = 1
    skip: int = 0
    ranges: bool | None = None
    """True meets only requests for a range, False only the others."""
    after: int = 0
    """The byte of the file at which it happens; in an answer to a range, too."""
    status: int = 500
    retry_after: Callable[[], str] | None = None
    seconds: float = 0.0
    value: str = ""
    content: bytes = b""
    seen: int = 0
    met: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    """A cut or stalled answer has sent all that it will."""
    left: threading.Event = field(default_factory=threading.Event)
    """The client of a stalled answer has gone."""
    over: bool = False
    """The server is to stop."""

    def meets(self, path: str, range_: str | None) -> bool:
        if not path.endswith(self.path) or self.ranges not in (None, range_ is not None):
            return False
        self.seen += 1
        return self.seen > self.skip and (self.times is None or self.met < self.times)

    async def until_left(self, receive: Receive) -> None:
        """Wait until the client has gone, or the server is to go."""
        try:
            while not self.over:
                try:
                    message = await asyncio.wait_for(receive(), 0.1)
                except TimeoutError:
                    continue
                if message["type"] == "http.disconnect":
                    return
        finally:  # Starlette waits as well, and cancels an answer that nobody waits for
            if not self.over:
                self.left.set()


class Cut(Exception):
    """The connection is to be closed; uvicorn does so where an answer is not complete."""


class Place:
    """Where in the file the body of an answer is, piece by piece."""

    def __init__(self) -> None:
        self.at = 0

    def begin(self, start: Message) -> None:
        if start["status"] == 206:
            span = Headers(raw=start["headers"])["content-range"].removeprefix("bytes ")
            self.at = int(span.split("-")[0])


async def end_early(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``cut`` and ``stall``."""
    place = Place()

    async def limited(message: Message) -> None:
        if message["type"] == "http.response.start":
            place.begin(message)
            await send(message)
            return
        body = message.get("body", b"")
        left = max(0, fault.after - place.at)
        place.at += len(body)
        if len(body) < left:
            await send(message)
            return
        await send({**message, "body": body[:left], "more_body": True})
        fault.reached.set()
        if fault.kind == "stall":
            await fault.until_left(receive)
        else:
            await asyncio.sleep(BEFORE_A_CUT)
        raise Cut

    await app(scope, receive, limited)


async def change_bytes(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``corrupt`` and ``padded``."""
    place = Place()

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            place.begin(message)
            await send(message)
            return
        body = bytearray(message.get("body", b""))
        first = fault.after - place.at
        place.at += len(body)
        if fault.kind == "padded":
            body[max(0, first) :] = bytes(len(body[max(0, first) :]))
        elif 0 <= first < len(body):
            body[first] ^= 1
        await send({**message, "body": bytes(body)})

    await app(scope, receive, changed)


async def answer(send: Send, status: int, headers: dict[str, str], content: bytes) -> None:
    every = SECURITY | ISOLATION | headers | {"Content-Length": str(len(content))}
    raw = [(key.lower().encode(), value.encode()) for key, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def refuse(fault: Fault, _app: ASGIApp, _scope: Scope, _receive: Receive, send: Send) -> None:
    retry = {} if fault.retry_after is None else {"Retry-After": fault.retry_after()}
    await answer(send, fault.status, {"Content-Type": "text/html"} | retry, b"<p>Not today.</p>")


def asking(scope: Scope, range_: str | None) -> Scope:
    """The same request, for this range and no other."""
    left = [(k, v) for k, v in scope["headers"] if k not in (b"range", b"if-range")]
    return {**scope, "headers": left if range_ is None else [*left, (b"range", range_.encode())]}


async def collect(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Headers, bytes]:
    """What ``app`` answers, whole."""
    headers, body = Headers(), b""

    async def keep(message: Message) -> None:
        nonlocal headers, body
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
        body += message.get("body", b"")

    await app(scope, receive, keep)
    return headers, body


async def replace(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``short`` and ``replaced``: another file, without ranges."""
    if fault.kind == "replaced":
        await answer(send, 200, {"Content-Type": fault.value}, fault.content)
        return
    headers, body = await collect(app, asking(scope, None), receive)
    await answer(send, 200, {"Content-Type": headers["content-type"]}, body[: fault.after])


async def shift_range(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``wrong_range`` and ``lying_range``; to be met by requests for ranges alone."""
    start = int(Headers(scope=scope)["range"].removeprefix("bytes=").removesuffix("-"))
    found, body = await collect(app, asking(scope, f"bytes={max(0, start - SHIFT)}-"), receive)
    span, total = found["content-range"].removeprefix("bytes ").split("/")
    last = int(span.split("-")[1])
    if fault.kind == "lying_range":
        span, body = f"{start}-{last}", body[: last - start + 1]
    headers = {"Content-Type": found["content-type"], "Content-Range": f"bytes {span}/{total}"}
    await answer(send, 206, headers | {"ETag": found["etag"]}, body)


async def ignore_ranges(
    _fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    await app(asking(scope, None), receive, send)


async def slow_down(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    async def slowed(message: Message) -> None:
        body = message.get("body", b"")
        for at in range(0, max(1, len(body)), PIECE):
            more = message.get("more_body", False) or at + PIECE < len(body)
            await send({**message, "body": body[at : at + PIECE], "more_body": more})
            await asyncio.sleep(fault.seconds)

    await app(scope, receive, slowed)


async def change_headers(
    fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """``mime_type``, ``etag`` and ``no_isolation``."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            if fault.kind == "no_isolation":
                for name in ISOLATION:
                    del headers[name]
            else:
                headers["content-type" if fault.kind == "mime_type" else "etag"] = fault.value
            message = {**message, "headers": headers.raw}
        await send(message)

    await app(scope, receive, changed)


FAULTS: dict[Kind, Callable[[Fault, ASGIApp, Scope, Receive, Send], Awaitable[None]]] = {
    "cut": end_early,
    "stall": end_early,
    "corrupt": change_bytes,
    "padded": change_bytes,
    "short": replace,
    "replaced": replace,
    "status": refuse,
    "wrong_range": shift_range,
    "lying_range": shift_range,
    "no_ranges": ignore_ranges,
    "slow": slow_down,
    "mime_type": change_headers,
    "etag": change_headers,
    "no_isolation": change_headers,
}
