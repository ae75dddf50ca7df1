"""What ``vendor`` put into the site: pinned, whole, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import brotli

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "site" / "vendor"


def test_pyodide_knows_no_packages_to_fetch() -> None:
    lock = json.loads((VENDOR / "pyodide" / "pyodide-lock.json").read_text())
    assert lock["packages"] == {}


def test_the_python_archive_holds_the_whole_worker_as_bytecode() -> None:
    worker = ROOT / "python_worker"
    modules = {
        f"{path.relative_to(worker).as_posix()}c" for path in (worker / "pesoleve_worker").rglob("*.py")
    }
    with zipfile.ZipFile(VENDOR / "pyodide" / "python.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert {name for name in names if name.startswith("pesoleve_worker/")} == modules
    assert all(name.endswith(".pyc") for name in names)


def test_python_starts_without_what_nothing_here_uses() -> None:
    """An event loop, sockets, and readers of every archive: half of what Pyodide imports for itself."""
    slim = ROOT / "export" / "pesoleve" / "python_slim"
    instead = {f"{path.relative_to(slim).as_posix()}c" for path in slim.rglob("*.py")}
    with zipfile.ZipFile(VENDOR / "pyodide" / "python.zip") as archive:
        names = set(archive.namelist())
    assert instead == {name for name in names if name.startswith("asyncio/")} | {
        "pyodide/_package_loader.pyc",
        "pyodide/webloop.pyc",
    }
    assert not {"ssl.pyc", "socket.pyc", "subprocess.pyc", "shutil.pyc", "zipfile/__init__.pyc"} & names
    assert (VENDOR / "pyodide" / "python.zip.br").stat().st_size < 600_000


def test_the_manifest_tells_every_file_s_bytes_on_the_wire() -> None:
    files = json.loads((VENDOR / "manifest.json").read_text())["files"]
    for name, size in files.items():
        path = VENDOR / name
        compressed = path.with_name(f"{path.name}.br")
        wire = compressed if compressed.exists() else path
        assert size == {"bytes": wire.stat().st_size, "decoded_bytes": path.stat().st_size}, name
    small = [n for n in files if files[n]["decoded_bytes"] < 100_000 and (VENDOR / f"{n}.br").exists()]
    assert small
    for name in small:
        content = brotli.decompress((VENDOR / f"{name}.br").read_bytes())
        assert content == (VENDOR / name).read_bytes(), name


def test_npm_packages_are_pinned_by_integrity_without_an_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    wanted = json.loads((ROOT / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted[kind].values())
    for name, package in lock["packages"].items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-"), name
