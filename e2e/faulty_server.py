"""The site under fire: faults by plan, and a record of every request and of the bytes that it was sent.

    with serve_faulty(models, [Fault("cut", shard.path, after=100_000)]) as (site, server):
        ...
        server.sent(shard.path)

Where several faults meet one request, the later ones see what the earlier ones made of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import ISOLATION, SECURITY, AddHeaders, SiteFiles, create_app

from .faults import FAULTS, Cut, Fault
from .server import SITE, OtherModels, serve_app


@dataclass
class Asked:
    """A request, and what it got: ``sent`` counts the body's bytes, as they went into the socket."""

    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0
    at: float = field(default_factory=monotonic)
    """When, in seconds."""

    @property
    def first(self) -> int:
        """The byte that it asks to begin with."""
        return 0 if self.range is None else int(self.range.removeprefix("bytes=").removesuffix("-"))


class FaultyServer:
    """Middleware around the whole site."""

    def __init__(self, app: ASGIApp, plan: Sequence[Fault] = ()) -> None:
        self._app = app
        self.plan = list(plan)
        self.asked: list[Asked] = []
        """Since it was last cleared."""

    def requests(self, path: str) -> list[Asked]:
        """For what ends with ``path``."""
        return [asked for asked in self.asked if asked.path.endswith(path)]

    def sent(self, path: str) -> int:
        """Bytes of the file, or of what was served for it."""
        return sum(asked.sent for asked in self.requests(path) if asked.status < 400)

    def fetched(self) -> dict[str, int]:
        """Bytes that were sent of each of the models' files, by path below the catalog's folder."""
        sums: dict[str, int] = {}
        for asked in self.asked:
            if asked.path.endswith(".zst"):
                path = asked.path.partition("/models/")[2]
                sums[path] = sums.get(path, 0) + asked.sent
        return sums

    def recover(self) -> None:
        """Serve everything as it is from now on, and forget what was asked."""
        self.plan = []
        self.asked = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        asked = Asked(scope["path"], headers.get("range"), headers.get("if-range"))
        self.asked.append(asked)
        app = self._app
        for fault in self.plan:
            if fault.meets(asked.path, asked.range):
                fault.met += 1
                app = partial(FAULTS[fault.kind], fault, app)

        async def count(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            asked.sent += len(message.get("body", b""))

        try:
            await app({**scope, "extensions": {}}, receive, count)
        except Cut:
            return


@contextmanager
def serve_faulty(models: Path, plan: Sequence[Fault] = ()) -> Iterator[tuple[str, FaultyServer]]:
    """Serve the site with ``models`` for its own; yields its address, and the server, whose plan may
    change."""
    files = Starlette(routes=[Mount("/", SiteFiles(models))])
    other = OtherModels(create_app(SITE), AddHeaders(files, SECURITY | ISOLATION))
    server = FaultyServer(other, plan)
    with serve_app(server) as address:
        try:
            yield address, server
        finally:
            for fault in [*plan, *server.plan]:
                fault.over = True
