"""Read, validate and write ``site/models/``: the catalog and the files it names."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import jsonschema

from pesoleve_worker.catalog import SCHEMA_VERSION, Catalog, File, Model, to_dict
from pesoleve_worker.errors import CatalogError
from pesoleve_worker.parse import parse

from .errors import CheckError

CATALOG = "catalog.json"
PACKED = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9_]+-[0-9a-f]{16}\.(zst|partial)")
"""What this module names the files it writes."""

SCHEMA = Path(__file__).parents[2] / "site" / "schema" / "catalog.schema.json"
BUNDLED_SCHEMA = Path(__file__).with_name("catalog.schema.json")
"""Where an installed wheel keeps the schema; in the repository it is in ``site/schema``."""


def validate(value: object, name: str) -> Catalog:
    """Check decoded JSON against the schema and return it as a ``Catalog``.

    Raises:
        CheckError: naming the first place that is wrong.
    """
    path = SCHEMA if SCHEMA.exists() else BUNDLED_SCHEMA
    schema = json.loads(path.read_text(encoding="utf-8"))
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        raise CheckError(f"{name} is not valid at {error.json_path}: {error.message}")
    try:
        return parse(Catalog, value)
    except CatalogError as problem:
        raise CheckError(f"{name} is not valid: {problem.message}") from problem


def read(models: Path) -> Catalog:
    """Read the catalog in ``models``; an absent one is an empty one.

    Raises:
        CheckError: when it is there and cannot be used.
    """
    path = models / CATALOG
    if not path.exists():
        return Catalog(SCHEMA_VERSION, [])
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckError(f"{path} is not JSON: {error}. Delete it and build again.") from error
    return validate(value, str(path))


def _read_to_publish(models: Path) -> Catalog:
    """Like ``read``, but a catalog of an older version of pesoleve is an empty one."""
    path = models / CATALOG
    try:
        version = json.loads(path.read_text(encoding="utf-8"))["schema_version"]
    except (OSError, ValueError, TypeError, KeyError):
        version = SCHEMA_VERSION
    if isinstance(version, int) and version < SCHEMA_VERSION:
        return Catalog(SCHEMA_VERSION, [])
    return read(models)


def publish(models: Path, new: dict[str, tuple[Model, Path]]) -> bool:
    """Put models into the catalog, replacing those of the same id; return whether anything changed.

    Files are in place before the catalog names them, and the catalog is replaced in one step, so an
    interruption leaves the last good one. Files that nothing names any more are removed last.

    Args:
        new: by id, each model and the directory that holds its packed files.
    """
    before = _read_to_publish(models)
    kept = {model.id: model for model in before.models}
    after = Catalog(SCHEMA_VERSION, [])
    merged = kept | {model.id: model for model, _ in new.values()}
    after.models.extend(merged[name] for name in sorted(merged))
    validate(json.loads(_dump(after)), "the new catalog")
    changed = False
    for model, packed in new.values():
        for file in model.files:
            target = models / file.path
            if not _is_whole(target, file):
                changed = True
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_suffix(".partial")
                shutil.copyfile(packed / target.name, partial)
                partial.replace(target)
    if changed or after != before:
        changed = True
        models.mkdir(parents=True, exist_ok=True)
        partial = models / f".{CATALOG}.partial"
        partial.write_text(_dump(after), encoding="utf-8")
        partial.replace(models / CATALOG)
    _prune(models, after)
    return changed


def _dump(catalog: Catalog) -> str:
    try:
        return json.dumps(to_dict(catalog), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise CheckError(f"the new catalog holds a figure that is not a number: {error}") from error


def _is_whole(path: Path, file: File) -> bool:
    if not path.exists() or path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _prune(models: Path, catalog: Catalog) -> None:
    """Remove packed files that the catalog no longer names; nothing else in the folder is touched."""
    named = {file.path for model in catalog.models for file in model.files}
    for path in list(models.glob("*/*")):
        relative = path.relative_to(models).as_posix()
        if PACKED.fullmatch(relative) and relative not in named:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
