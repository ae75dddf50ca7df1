"""The Python that the page needs, as one archive of bytecode. Runs in Pyodide, in Node, for ``vendor``.

Pyodide's own archive holds the whole standard library as source, which the browser would compile at
every visit: two of the three seconds that Python takes to start. This one holds the modules that the
worker imports, compiled by the interpreter that runs them, without docstrings.

``python_archive.mjs`` calls ``archive``.
"""

import importlib
import importlib.util
import io
import sys
import zipfile
from marshal import dumps
from pathlib import Path

ENTRY = "pesoleve_worker.host_pyodide"
LATER = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "stringprep",
    "traceback",
    "unicodedata",
)
"""Modules that are imported only when something happens."""

UNCHECKED_TIMESTAMP = bytes(12)
"""The header after the magic number: flags, time and size of a source that is not there (PEP 552)."""
OPTIMIZE = 2
"""No docstrings, no asserts."""


def archive(root: str) -> bytes:
    """Return the zip archive: bytecode of what ``ENTRY`` imports, stored, in the order of names.

    ``root`` is the folder with the worker's package, all of which goes in.
    """
    sys.path.append(root)
    importlib.import_module(ENTRY)
    library = next(path for path in sys.path if path.endswith(".zip"))
    content = io.BytesIO()
    with zipfile.ZipFile(library) as source, zipfile.ZipFile(content, "w") as target:
        library_files = {name for name in source.namelist() if name.endswith(".py")}
        sources = {name: source.read(name) for name in _needed(library_files)}
        for path in (Path(root) / ENTRY.partition(".")[0]).rglob("*.py"):
            sources[path.relative_to(root).as_posix()] = path.read_bytes()
        for name in sorted(sources):
            code = compile(sources[name], f"/lib/{name}", "exec", dont_inherit=True, optimize=OPTIMIZE)
            bytecode = importlib.util.MAGIC_NUMBER + UNCHECKED_TIMESTAMP + dumps(code)
            target.writestr(zipfile.ZipInfo(f"{name}c"), bytecode)
    return content.getvalue()


def _needed(files: set[str]) -> set[str]:
    """Return which of the files the modules that are loaded by now, and those of ``LATER``, come from.

    A module that is built in has none.
    """
    needed = set[str]()
    for module in {*sys.modules, *LATER}:
        path = module.replace(".", "/")
        needed |= {f"{path}.py", f"{path}/__init__.py"} & files
    return needed
