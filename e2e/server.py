"""The site on a free port of this machine, as the development server serves it, faults included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve.serve import ISOLATION, SECURITY, AddHeaders, SiteFiles, create_app, listen

SITE = Path(__file__).parents[1] / "site"

Change = Callable[[bytes], bytes | None]
"""Takes a file's bytes and returns what is served instead; None is a 404."""


CONDITIONS = (b"accept-encoding", b"if-none-match", b"if-modified-since")
"""Request headers by which a server answers less than the file as it is."""


class ChangedFiles:
    """Middleware: serve some files changed, by the end of their path."""

    def __init__(self, app: ASGIApp, changes: Mapping[str, Change]) -> None:
        self._app = app
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        change = next((c for end, c in self._changes.items() if path.endswith(end)), None)
        if change is None:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""
        plain = [h for h in scope["headers"] if h[0] not in CONDITIONS]

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")

        await self._app({**scope, "headers": plain, "extensions": {}}, receive, collect)
        changed = change(body)
        kept = [h for h in start["headers"] if h[0] not in (b"content-length", b"etag")]
        content = changed if changed is not None else b"Not Found"
        length = (b"content-length", str(len(content)).encode())
        status = 200 if changed is not None else 404
        await send({**start, "status": status, "headers": [*kept, length]})
        await send({"type": "http.response.body", "body": content})


class OtherModels:
    """Middleware: ``/models/`` is another folder's."""

    def __init__(self, app: ASGIApp, models: ASGIApp) -> None:
        self._app = app
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, found, below = scope.get("path", "").partition("/models/")
        if found:
            await self._models({**scope, "path": f"/{below}"}, receive, send)
        else:
            await self._app(scope, receive, send)


@contextmanager
def serve_app(app: ASGIApp, base_path: str = "/") -> Iterator[str]:
    """Serve an application on a free port until the block ends; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{base_path}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@contextmanager
def serve_site(
    *,
    base_path: str = "/",
    isolation: bool = True,
    changes: Mapping[str, Change] | None = None,
    models: Path | None = None,
) -> Iterator[str]:
    """Serve ``site/``, with ``models`` for its own, until the block ends; yields its address."""
    app = create_app(SITE, base_path=base_path, isolation=isolation)
    if models is not None:
        app = OtherModels(app, AddHeaders(SiteFiles(models), SECURITY | ISOLATION))
    with serve_app(ChangedFiles(app, changes or {}), base_path) as address:
        yield address
