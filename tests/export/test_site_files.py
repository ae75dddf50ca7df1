"""The list by which a service worker keeps the page: what is in it, and when it is another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.testclient import TestClient

from pesoleve import site_files, vendor
from pesoleve.serve import create_app
from pesoleve_worker.catalog import SCHEMA_VERSION

PAGE = (
    "index.html", "icon.svg", "js/page.js", "components/card.js", "styles/base.css", "worker/worker.js",
    "worker/module.mjs", "locales/en.json", "examples/embed.html", "vendor/lit/lit.js",
    "vendor/manifest.json", "vendor/archivo/archivo.woff2",
)  # fmt: skip
RUNTIME = ("vendor/pyodide/python.snapshot", "vendor/onnxruntime/ort.wasm", "vendor/zstd/zstddec.js")
OTHERS = (
    "service_worker.js", "screenshot.png", "js/types.d.ts", "schema/catalog.schema.json",
    "models/catalog.json", "models/tiny/weights-0123456789abcdef.zst", "vendor/.stamp",
    "vendor/licenses/lit.txt", "vendor/lit/lit.d.ts", "vendor/lit/lit.js.br",
    ".vendor-partial/lit/lit.js", "_headers",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in (*PAGE, *RUNTIME, *OTHERS):
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} as it was")
    return tmp_path / "site"


def read(script: str) -> dict[str, Any]:
    start, end = "self.SITE_FILES = ", ";\n"
    assert script.startswith(start) and script.endswith(end)
    lists = json.loads(script[len(start) : -len(end)])
    assert isinstance(lists, dict)
    return lists


def test_the_page_is_listed_by_content_apart_from_its_runtimes(site: Path) -> None:
    lists = read(site_files.script(site))
    assert lists["page"].keys() == set(PAGE)
    assert lists["runtime"].keys() == set(RUNTIME)
    assert lists["schemaVersion"] == SCHEMA_VERSION
    for name, half in {**lists["page"], **lists["runtime"]}.items():
        assert half == hashlib.sha256((site / name).read_bytes()).hexdigest()[:32]


@pytest.mark.parametrize("name", ["index.html", "worker/module.mjs", "vendor/pyodide/python.snapshot"])
def test_another_file_is_another_version(site: Path, name: str) -> None:
    before = read(site_files.script(site))
    (site / name).write_text("of another size")
    after = read(site_files.script(site))
    assert after["version"] != before["version"]
    (site / name).write_text(f"{name} as it was")
    assert read(site_files.script(site)) == before


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_page_does_not_fetch_is_no_other_version(site: Path, name: str) -> None:
    before = site_files.script(site)
    (site / name).write_text("another")
    assert site_files.script(site) == before


def test_the_list_is_written_when_it_is_another(site: Path) -> None:
    path = site / site_files.SITE_FILES
    assert site_files.write(site) is True
    assert path.read_text() == site_files.script(site)
    written = path.stat().st_mtime_ns
    assert site_files.write(site) is False
    assert path.stat().st_mtime_ns == written
    (site / "js" / "page.js").write_text("another")
    assert site_files.write(site) is True
    assert path.read_text() == site_files.script(site)
    assert not list(path.parent.glob(".*-partial"))


def test_vendoring_lists_what_was_edited_though_nothing_is_to_be_vendored(site: Path) -> None:
    (site / "vendor" / ".stamp").write_text(vendor._stamp())
    for text in ("one edit", "and another"):
        (site / "js" / "page.js").write_text(text)
        assert vendor.vendor(site / "vendor", Console(quiet=True)) is False
        assert (site / site_files.SITE_FILES).read_text() == site_files.script(site)


@pytest.mark.parametrize("base_path", ["/", "/some/folder"])
def test_the_server_lists_the_files_as_they_are(site: Path, base_path: str) -> None:
    site_files.write(site)
    visitor = TestClient(create_app(site, base_path=base_path))
    base = base_path.rstrip("/")
    (site / "js" / "page.js").write_text("edited since")
    answer = visitor.get(f"{base}/{site_files.SITE_FILES}")
    assert answer.text == site_files.script(site)
    assert answer.headers["Content-Type"].startswith("text/javascript")
    worker = visitor.get(f"{base}/service_worker.js")
    assert worker.headers["Content-Type"].startswith("text/javascript")
    assert worker.headers["Cache-Control"] == answer.headers["Cache-Control"] == "no-cache"
