"""The development server: isolation headers, ranges, precompressed files, any base path."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import brotli
import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import site_files
from .errors import ExportError

CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; font-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
"""The page says the same in a meta element, for hosts that set no headers; workers need the header."""

SECURITY = {
    "Content-Security-Policy": f"{CSP}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MEDIA_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
COMPRESSIBLE = {".html", ".css", ".js", ".json", ".svg"}
IMMUTABLE = "public, max-age=31536000, immutable"


class SiteFiles(StaticFiles):
    """Static files, each as brotli where the client takes it: beside the file, or made and kept."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True)
        self._made: dict[tuple[str, int], bytes] = {}

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path = Path(full_path)
        request = Headers(scope=scope)
        packed = path.suffix == ".zst"
        headers = {
            "Cache-Control": IMMUTABLE if packed else "no-cache",
            "Content-Type": MEDIA_TYPES.get(path.suffix, ""),
        }
        if packed:
            headers["Content-Type"] = "application/octet-stream"
        headers = {key: value for key, value in headers.items() if value}
        # A range is of the bytes that are stored, so a request for one gets no encoding.
        wants_brotli = _accepts_brotli(request.get("accept-encoding", "")) and "range" not in request
        precompressed = path.with_name(f"{path.name}.br")
        if precompressed.exists() or path.suffix in COMPRESSIBLE:
            headers["Vary"] = "Accept-Encoding"
        if wants_brotli and precompressed.exists():
            headers["Content-Encoding"] = "br"
            headers.setdefault("Content-Type", _media_type(path))
            response: Response = FileResponse(precompressed, status_code, headers)
        elif wants_brotli and path.suffix in COMPRESSIBLE:
            response = self._compress(path, stat_result, status_code, headers)
        else:
            response = FileResponse(path, status_code, headers)
        if isinstance(response, FileResponse):
            response.set_stat_headers(os.stat(response.path))  # noqa: PTH116  as Starlette does
        if self.is_not_modified(response.headers, request):
            return NotModifiedResponse(response.headers)
        return response

    def _compress(
        self, path: Path, stat: os.stat_result, status_code: int, headers: dict[str, str]
    ) -> Response:
        key = (str(path), stat.st_mtime_ns)
        if key not in self._made:
            self._made[key] = brotli.compress(path.read_bytes(), quality=11)
        etag = f'"br-{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        headers = headers | {"Content-Encoding": "br", "ETag": etag}
        return Response(self._made[key], status_code, headers, _media_type(path))


def _accepts_brotli(accept_encoding: str) -> bool:
    """Whether ``br`` is among the codings, and not at a quality of 0 (RFC 9110, 12.5.3)."""
    for item in accept_encoding.split(","):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        if coding == "br":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


def _media_type(path: Path) -> str:
    import mimetypes

    return MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"


class AddHeaders:
    """Middleware: the same headers on every response, errors included."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app(directory: Path, *, base_path: str = "/", isolation: bool = True) -> ASGIApp:
    """Return the server's ASGI application.

    Raises:
        ExportError: when ``directory`` holds no page.
    """
    if not (directory / "index.html").exists():
        raise ExportError(f"{directory} has no index.html to serve. Run this from the repository.")
    base = f"/{base_path.strip('/')}".rstrip("/")

    def list_files(_: Request) -> Response:
        """The list as it would be written now: what was edited since is a new version of the page."""
        listed = site_files.script(directory)
        return Response(listed, 200, {"Cache-Control": "no-cache"}, MEDIA_TYPES[".js"])

    routes = [Route(f"{base}/{site_files.SITE_FILES}", list_files), Mount(base, SiteFiles(directory))]
    headers = SECURITY | (ISOLATION if isolation else {})
    return AddHeaders(Starlette(routes=routes), headers)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, on any free port where ``port`` is 0.

    Raises:
        ExportError: when the port is not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, asyncio sends at once what is written. Else a body waits until its headers are
    # acknowledged, which a browser puts off: 40 ms for each file.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ExportError(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another with --port."
        ) from error
    return listener


def run(directory: Path, *, host: str, port: int, base_path: str, isolation: bool) -> None:
    """Serve until interrupted."""
    app = create_app(directory, base_path=base_path, isolation=isolation)
    with listen(host, port) as listener:
        place = "/".join(("", base_path.strip("/"), "")).replace("//", "/")
        shown = f"http://{host}:{listener.getsockname()[1]}{place}"
        console = Console()
        console.print(f"Serving {directory} at {shown} (Ctrl+C stops it)", highlight=False)
        if not (directory / "models" / "catalog.json").exists():
            console.print("There are no models yet. Run: pesoleve build")
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])
