"""The worker must start in the page with nothing installed, and in CPython without a page."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pesoleve_worker

PACKAGE = Path(pesoleve_worker.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGE_ONLY = {"js", "pyodide", "compression"}


def outside_imports(path: Path) -> Iterator[str]:
    """The top-level name of every absolute import in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_worker_module_imports_only_the_standard_library(path: Path) -> None:
    foreign = {name for name in outside_imports(path) if name not in sys.stdlib_module_names}
    assert foreign <= (PAGE_ONLY if path.stem.endswith("_pyodide") else set())
