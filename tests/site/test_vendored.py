"""What ``vendor`` put into the site: pinned, whole, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path

import brotli

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "site" / "vendor"


def test_pyodide_knows_no_packages_to_fetch() -> None:
    lock = json.loads((VENDOR / "pyodide" / "pyodide-lock.json").read_text())
    assert lock["packages"] == {}


def snapshot() -> bytes:
    """The lines of Python's memory, those that lie together still together."""
    content = (VENDOR / "pyodide" / "python.snapshot").read_bytes()
    header, memory, start, lines = struct.unpack("<4I", content[:16])
    assert len(content) == 16 + header + 4 * lines + 64 * lines
    assert 0 < start < memory
    return content[16 + header + 4 * lines :]


def test_python_s_memory_holds_the_whole_worker() -> None:
    worker = ROOT / "python_worker"
    memory = snapshot()
    for path in (worker / "pesoleve_worker").rglob("*.py"):
        if path.read_bytes():
            assert f"/lib/{path.relative_to(worker).as_posix()}".encode() in memory


def test_python_starts_without_what_nothing_here_uses() -> None:
    """An event loop, sockets, and readers of every archive: half of what Pyodide imports for itself."""
    memory = snapshot()
    slim = ROOT / "export" / "pesoleve" / "python_slim"
    for path in slim.rglob("*.py"):
        assert f"/lib/{path.relative_to(slim).as_posix()}".encode() in memory
    others = {b"/lib/ssl.py", b"/lib/socket.py", b"/lib/subprocess.py", b"/lib/zipfile/__init__.py"}
    assert not [name for name in others | {b"/lib/asyncio/events.py"} if name in memory]


def test_python_s_memory_is_small_on_the_wire() -> None:
    assert (VENDOR / "pyodide" / "python.snapshot.br").stat().st_size < 1_465_000
    with zipfile.ZipFile(VENDOR / "pyodide" / "python_stdlib.zip") as archive:
        assert archive.namelist() == []


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
