"""A copy of the site that a test may change while it is served, and that counts what it answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pesoleve import site_files
from pesoleve.serve import create_app

from .server import SITE, ChangedFiles, serve_app


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)
    return target


@dataclass
class Answered:
    """One answer of the server: ``destination`` is what for, by ``Sec-Fetch-Dest``."""

    path: str
    destination: str
    status: int = 0
    bytes: int = 0


@dataclass
class SiteCopy:
    root: Path
    answered: list[Answered] = field(default_factory=list)
    """Since it was last cleared."""
    held: set[str] = field(default_factory=set)
    """Paths that wait for their answer."""
    damaged: dict[str, bytes] = field(default_factory=dict)
    """What is served in place of a file, which the list still has as it was, by path."""

    @classmethod
    def make(cls, root: Path) -> SiteCopy:
        """Copy ``site/`` as it is now; its megabytes are links, and never written to."""
        ignore = shutil.ignore_patterns(".*", "vendor", "models", "screenshot.png")
        shutil.copytree(SITE, root, ignore=ignore)
        for folder in ("vendor", "models"):
            ignore = shutil.ignore_patterns(".*", "site_files.js", "smollm2-*")
            shutil.copytree(SITE / folder, root / folder, ignore=ignore, copy_function=_link_or_copy)
        return cls(root)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Replace a file; the one that it may be a link to stays."""
        partial = self.root / f".{Path(path).name}-partial"
        partial.write_bytes(content)
        partial.replace(self.root / path)
        (self.root / f"{path}.br").unlink(missing_ok=True)

    def append(self, path: str, text: str) -> None:
        self.write(path, self.read(path) + text.encode())

    def listed(self) -> dict[str, str]:
        """Half of the sha256 of everything that a service worker keeps of the copy, as it is now."""
        script = site_files.script(self.root)
        lists = json.loads(script.removeprefix("self.SITE_FILES = ").removesuffix(";\n"))
        return {**lists["page"], **lists["runtime"]}

    def page_files(self) -> dict[str, str]:
        """Those of them that are kept before a version serves anybody."""
        return {p: h for p, h in self.listed().items() if not p.startswith(site_files.RUNTIMES)}

    @contextmanager
    def serve(self, *, isolation: bool = True, base_path: str = "/", max_age: int = 0) -> Iterator[str]:
        """Serve the copy until the block ends; a browser may take its own for ``max_age`` seconds."""
        app = create_app(self.root, isolation=isolation, base_path=base_path)
        age = (b"cache-control", f"max-age={max_age}".encode())

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            headers = dict(scope["headers"])
            path = scope["path"].removeprefix(base_path)
            answer = Answered(path, headers.get(b"sec-fetch-dest", b"").decode())
            self.answered.append(answer)
            while path in self.held:
                await asyncio.sleep(0.02)

            async def count(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answer.status = message["status"]
                    if max_age:
                        kept = [h for h in message["headers"] if h[0] != b"cache-control"]
                        message = {**message, "headers": [*kept, age]}
                answer.bytes += len(message.get("body", b""))
                await send(message)

            served: ASGIApp = app
            if path in self.damaged:
                served = ChangedFiles(app, {scope["path"]: lambda _: self.damaged[path]})
            # Files go through `send` rather than past it.
            await served({**scope, "extensions": {}}, receive, count)

        with serve_app(counted, base_path) as address:
            yield address

    def sent(self, *prefixes: str) -> int:
        """Bytes of bodies, of the paths that begin so."""
        return sum(a.bytes for a in self.answered if a.path.startswith(prefixes or ("",)))
