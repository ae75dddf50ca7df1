"""The files of a model in the Hugging Face layout, checked to be whole before anything is built."""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import SourceError

REQUIRED = ("config.json", "tokenizer.json")
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class ModelSource:
    """A model on disk. ``sha256`` is over the names and contents of the files that are used.

    ``directory`` is in the Hugging Face layout; of a GGUF it is the file.
    """

    kind: Literal["package", "directory", "hub", "gguf"]
    locator: str
    revision: str
    directory: Path
    sha256: str

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the model's JSON files; its wholeness was checked by ``check_files``."""
        value = json.loads((self.directory / name).read_text(encoding="utf-8"))
        assert isinstance(value, dict)
        return value


def check_files(directory: Path, remedy: str) -> str:
    """Check the model's files and return the sha256 over them.

    Args:
        remedy: what the user should do when a file is missing or damaged; ends the message.

    Raises:
        SourceError: naming the file, what was expected, what was found, and ``remedy``.
    """
    if not directory.is_dir():
        raise SourceError(f"there is no directory {directory}. {remedy}")
    for name in REQUIRED:
        _check_json(directory / name, remedy)
    weights = _weight_files(directory, remedy)
    for path in weights:
        _check_safetensors(path, remedy)
    digest = hashlib.sha256()
    for path in sorted({*(directory / name for name in REQUIRED), *weights}):
        with path.open("rb") as file:
            file_digest = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{file_digest}\n".encode())
    return digest.hexdigest()


def _weight_files(directory: Path, remedy: str) -> list[Path]:
    index = directory / WEIGHTS_INDEX
    if not index.exists():
        return [directory / WEIGHTS]
    names = _check_json(index, remedy).get("weight_map", {})
    if not isinstance(names, dict) or not names:
        raise SourceError(f"{index} should map tensors to files under 'weight_map'. {remedy}")
    return sorted({directory / str(name) for name in names.values()})


def _check_json(path: Path, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise SourceError(f"{path.name} is missing from {path.parent}. {remedy}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise SourceError(
            f"{path} should be JSON, and reading it failed: {error}. It may be truncated. {remedy}"
        ) from error
    if not isinstance(value, dict):
        raise SourceError(f"{path} should hold a JSON object, not {type(value).__name__}. {remedy}")
    return value


def _check_safetensors(path: Path, remedy: str) -> None:
    """Compare the file's size with what its header promises.

    Layout: https://huggingface.co/docs/safetensors: a little-endian u64 header length, the header as
    JSON, then the tensors' bytes.
    """
    if not path.is_file():
        raise SourceError(f"{path.name} is missing from {path.parent}. {remedy}")
    size = path.stat().st_size
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        header_bytes = file.read(header_length) if header_length <= size else b""
    try:
        header = json.loads(header_bytes)
        ends = [
            operator.index(entry["data_offsets"][1])
            for key, entry in header.items()
            if key != "__metadata__"
        ]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise SourceError(
            f"{path} should be a safetensors file, but its header of {header_length:,} bytes cannot "
            f"be read ({size:,} bytes in all). {remedy}"
        ) from error
    expected = 8 + header_length + max(ends, default=0)
    if size != expected:
        raise SourceError(
            f"{path} should be {expected:,} bytes by its own header, and is {size:,}. {remedy}"
        )
