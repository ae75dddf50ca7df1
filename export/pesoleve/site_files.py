"""The list of the page's files, each with half of its sha256: what ``site/service_worker.js`` keeps,
and knows one version of the page from another by. All of it would be two kilobytes more, before the
click, and 128 bits tell files apart as surely.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pesoleve_worker.catalog import SCHEMA_VERSION

SITE_FILES = "vendor/site_files.js"

SUFFIXES = {".css", ".html", ".js", ".json", ".mjs", ".snapshot", ".svg", ".wasm", ".woff2", ".zip"}
"""What a page fetches; not pictures of it, types, licences, or the compressed copies of files."""

LEFT_OUT = ("models/", "schema/", "vendor/licenses/", SITE_FILES, "service_worker.js")
"""Models have a store of their own. A browser compares a service worker, and this list, by itself."""

RUNTIMES = tuple(
    f"vendor/{folder}/" for folder in ("pyodide", "onnxruntime", "tokenizers", "jinja", "zstd", "hash")
)
"""Megabytes, of which a visitor may need none: these are kept when they are first used."""

DIGITS = 32
"""Of a hash, in hexadecimal: ``hash`` in ``site/service_worker.js`` keeps as many."""

_digests: dict[tuple[str, int, int], str] = {}


def write(site: Path) -> bool:
    """Write the list of the files below ``site``; return False when it was the same already."""
    path = site / SITE_FILES
    content = script(site)
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}-partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
    return True


def script(site: Path) -> str:
    """Return the list of the files below ``site`` as a script that sets ``SITE_FILES``."""
    page = {path: _digest(site / path) for path in _paths(site)}
    runtime = {path: page.pop(path) for path in list(page) if path.startswith(RUNTIMES)}
    lists = {"schemaVersion": SCHEMA_VERSION, "page": page, "runtime": runtime}
    version = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()[:16]
    return f"self.SITE_FILES = {json.dumps({'version': version, **lists}, indent=1)};\n"


def _paths(site: Path) -> list[str]:
    paths = (path.relative_to(site).as_posix() for path in site.rglob("*") if path.suffix in SUFFIXES)
    return sorted(p for p in paths if not p.startswith((".", *LEFT_OUT)) and "/." not in p)


def _digest(path: Path) -> str:
    """Return half of a file's sha256. The server asks at every visit: one that is unchanged is not
    read again."""
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _digests:
        _digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
    return _digests[key]
