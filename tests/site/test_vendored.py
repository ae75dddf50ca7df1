"""What ``vendor`` put into the site: pinned, whole, and nothing from anywhere else."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import brotli

from pesoleve_worker import __version__

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "site" / "vendor"


def test_the_lock_file_holds_the_worker_s_wheel_by_hash_and_nothing_else() -> None:
    lock = json.loads((VENDOR / "pyodide" / "pyodide-lock.json").read_text())
    (package,) = lock["packages"].values()
    assert (package["name"], package["version"]) == ("pesoleve-worker", __version__)
    wheel = VENDOR / "pyodide" / package["file_name"]
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == package["sha256"]


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
