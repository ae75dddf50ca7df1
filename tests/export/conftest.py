from __future__ import annotations

import random
from pathlib import Path

import brotli
import pytest

from tests.export.workshop import Work, Workshop

WEIGHTS = random.Random(0).randbytes(200_000)
"""An archive's content: no part of it is like another, and it is longer than a chunk."""


@pytest.fixture(scope="session")
def workshop(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), tiny_model)


@pytest.fixture(scope="session")
def first_build(workshop: Workshop) -> Work:
    """The unchanged recipe, built; the stages that other tests ran already are not run again."""
    return workshop.build()


@pytest.fixture
def models(workshop: Workshop, first_build: Work, tmp_path: Path) -> Path:
    """A published catalog of the tiny model, free to be harmed."""
    del first_build
    workshop.publish(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with one file of each kind that the server treats in its own way."""
    root = tmp_path / "site"
    contents = {
        "index.html": b"<!doctype html><title>Peso Leve</title>",
        "docs/index.html": b"<!doctype html>docs",
        "style.css": b"body { color: black }",
        "app.wasm": b"\0asm\1\0\0\0",
        "js/page.mjs": b"export const weight = 'light';",
        "js/page.mjs.br": brotli.compress(b"export const weight = 'light';"),
        "models/catalog.json": b'{"schema_version": 5, "models": []}',
        "models/tiny/weights-0123456789abcdef.zst": WEIGHTS,
    }
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
