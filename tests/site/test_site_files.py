"""What the service worker keeps of the real site is all that the page may ask for."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

from pesoleve import site_files

SITE = Path(__file__).parents[2] / "site"
LISTED = set(re.findall(r'"([^"]+)": "[0-9a-f]{32}"', site_files.script(SITE)))

NAMED = {
    ".html": r'(?:href|src)="([^"#:]+)"',
    ".css": r'url\("([^":]+)"\)',
    ".js": r"(?:from|import|import\(|new URL\()\s*'(\.{1,2}/[^']+)'",
    ".mjs": r"(?:from|import|import\(|new URL\()\s*'(\.{1,2}/[^']+)'",
}
"""How a file names another, by its suffix."""

NOT_KEPT = {"models/catalog.json", "service_worker.js"}
"""Kept by name, whatever is in it; and compared by the browser itself."""


def test_every_file_that_the_page_names_is_listed() -> None:
    named = set()
    for path in LISTED:
        pattern = NAMED.get(Path(path).suffix)
        if pattern is None or path.startswith("vendor/"):
            continue
        text = (SITE / path).read_text(encoding="utf-8")
        # A type is named in a comment, and fetched by nobody.
        code = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
        named |= {normpath(join(dirname(path), name)) for name in re.findall(pattern, code)}
    files = {name for name in named if (SITE / name).suffix}
    assert len(files) > 40
    assert files - NOT_KEPT <= LISTED, files - NOT_KEPT - LISTED


def test_every_vendored_script_and_binary_is_listed() -> None:
    vendored = {
        path.relative_to(SITE).as_posix()
        for path in (SITE / "vendor").rglob("*")
        if path.suffix in {".js", ".mjs", ".wasm", ".zip", ".woff2"}
    }
    assert vendored - {site_files.SITE_FILES} <= LISTED
