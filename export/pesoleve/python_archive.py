"""The Python that the page needs, as one archive of bytecode. Runs in Pyodide, in Node, for ``vendor``.

Pyodide's own archive holds the whole standard library as source. This one holds the modules that the
worker imports, compiled by the interpreter that runs them, without docstrings; and in place of what
Pyodide imports for others, the modules of ``python_slim``.

``python_snapshot.mjs`` calls ``slim_library``; in a Python of what it returns, ``archive``; and in one
of that, ``settle``, before it takes the memory.
"""

import importlib
import sys

PACKAGE = "pesoleve_worker"
ENTRY = f"{PACKAGE}.host_pyodide"
LATER = (
    "difflib",
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "traceback",
    "unicodedata",
)
"""Modules that are imported only when something happens."""

UNCHECKED_TIMESTAMP = bytes(12)
"""The header after the magic number: flags, time and size of a source that is not there (PEP 552)."""
OPTIMIZE = 2
"""No docstrings, no asserts."""


def slim_library(slim: str) -> bytes:
    """Return Pyodide's own archive with the modules in the folder ``slim`` in place of its own."""
    import io
    import zipfile
    from pathlib import Path

    library = next(path for path in sys.path if path.endswith(".zip"))
    instead = {p.relative_to(slim).as_posix(): p.read_bytes() for p in Path(slim).rglob("*.py")}
    content = io.BytesIO()
    with zipfile.ZipFile(library) as source, zipfile.ZipFile(content, "w") as target:
        names = source.namelist()
        if missing := sorted(instead.keys() - set(names)):
            raise ValueError(f"Pyodide has no {', '.join(missing)} to put another in place of")
        for name in names:
            target.writestr(zipfile.ZipInfo(name), instead.get(name) or source.read(name))
    return content.getvalue()


def ready(root: str) -> list[str]:
    """Import all of the worker, and ``LATER``; return the modules that Python has then.

    This program's own would be among them: it imports them only afterwards.
    """
    sys.path.append(root)
    for name in (ENTRY, *LATER):
        importlib.import_module(name)
    known = list(sys.modules)
    from pathlib import Path

    own = (path.relative_to(root).with_suffix("") for path in (Path(root) / PACKAGE).rglob("*.py"))
    return [*known, *(".".join(path.parts).removesuffix(".__init__") for path in own)]


def archive(root: str, modules: list[str]) -> bytes:
    """Return the zip archive of bytecode, stored, in the order of names.

    Args:
        root: the folder with the worker's package, all of which goes in.
        modules: as ``ready`` returns them: of the library, what they come from goes in.
    """
    import importlib.util
    import io
    import zipfile
    from marshal import dumps
    from pathlib import Path

    library = next(path for path in sys.path if path.endswith(".zip"))
    content = io.BytesIO()
    with zipfile.ZipFile(library) as source, zipfile.ZipFile(content, "w") as target:
        library_files = {name for name in source.namelist() if name.endswith(".py")}
        sources = {name: source.read(name) for name in _needed(modules, library_files)}
        for path in (Path(root) / PACKAGE).rglob("*.py"):
            sources[path.relative_to(root).as_posix()] = path.read_bytes()
        for name in sorted(sources):
            code = compile(sources[name], f"/lib/{name}", "exec", dont_inherit=True, optimize=OPTIMIZE)
            bytecode = importlib.util.MAGIC_NUMBER + UNCHECKED_TIMESTAMP + dumps(code)
            target.writestr(zipfile.ZipInfo(f"{name}c"), bytecode)
    return content.getvalue()


def settle(modules: list[str]) -> None:
    """Import ``modules``, and leave nothing in memory but them: there will be no archive to read."""
    import gc

    for name in modules:
        importlib.import_module(name)
        gc.collect()  # what comes next goes where there was garbage: 13 kB less of a snapshot
    sys.path[:] = [path for path in sys.path if not path.endswith(".zip")]
    sys.path_importer_cache.clear()
    gc.collect()


def _needed(modules: list[str], files: set[str]) -> set[str]:
    """Return which of the files ``modules`` come from.

    A module that is built in has none.
    """
    needed = set[str]()
    for module in modules:
        path = module.replace(".", "/")
        needed |= {f"{path}.py", f"{path}/__init__.py"} & files
    return needed
