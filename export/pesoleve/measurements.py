"""Measurements that are kept with the source, each with what it is of: a build that makes the same
bytes need not measure them again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent / "kept"
"""Trained weights and measurements, so that a build needs neither to train nor to measure."""


@dataclass(frozen=True)
class Measurements:
    """What is known in ``folder``.

    Args:
        again: measure what is known too.
        keep: a directory to write every measurement to, ``<model>.json`` by dtype.
    """

    again: bool = False
    keep: Path | None = None
    folder: Path = KEPT

    def recall(self, model_id: str, dtype: str, of: str) -> dict[str, Any] | None:
        """Return what was measured of exactly this, if it was."""
        if self.again:
            return None
        row = _read(self.folder / f"{model_id}.json").get(dtype)
        return None if row is None or row["of"] != of else dict(row["measured"])

    def record(self, model_id: str, dtype: str, of: str, measured: dict[str, Any]) -> None:
        """Write a measurement beside the model's others, where they are to be kept."""
        if self.keep is None:
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{model_id}.json"
        rows = _read(path) | {dtype: {"of": of, "measured": measured}}
        path.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files in ``folder``, hexadecimal."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return whole.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return rows
