"""What the headers of safetensors and GGUF files say: every tensor's shape and type, and no weights.

A file may be on a disk or behind an HTTP address whose server answers ranges; only the header is read.
Formats: https://huggingface.co/docs/safetensors and
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from gguf import GGMLQuantizationType, GGUFValueType
from gguf.constants import GGML_QUANT_SIZES

from pesoleve_worker.architecture import TensorShape

from .errors import SourceError

Read = Callable[[int, int], bytes]
"""(first byte, how many) ─► at most so many bytes."""

LARGEST_HEADER = 64 * 2**20
STEP = 2**20


@dataclass(frozen=True)
class Header:
    """Tensors, what they take as they are stored, and the ``config.json`` keys that the file tells."""

    tensors: list[TensorShape]
    stored_bytes: int
    config: dict[str, Any]


def read_header(source: str) -> Header:
    """Read the header of a ``.safetensors`` or ``.gguf`` file at a path or an address.

    Raises:
        SourceError: when it cannot be read, or is neither.
    """
    read = _remote(source) if "://" in source else _local(Path(source))
    try:
        return _gguf(source, read) if read(0, 4) == b"GGUF" else _safetensors(read)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise SourceError(
            f"{source} is no GGUF or safetensors file, or its header is damaged: {error}"
        ) from error


def _local(path: Path) -> Read:
    def read(first: int, count: int) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(first)
                return file.read(count)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    return read


def _remote(address: str) -> Read:
    def read(first: int, count: int) -> bytes:
        asked = {"Range": f"bytes={first}-{first + count - 1}"}
        try:
            with httpx.stream(
                "GET", address, headers=asked, follow_redirects=True, timeout=30
            ) as answer:
                if answer.status_code == httpx.codes.OK:
                    raise SourceError(
                        f"{address} answers no ranges: its header would take the whole file. "
                        f"Download it, and weigh the file."
                    )
                answer.raise_for_status()
                return answer.read()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(f"{address} cannot be read: {error}") from error

    return read


def _safetensors(read: Read) -> Header:
    (length,) = struct.unpack("<Q", read(0, 8))
    if length > LARGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(read(8, length))
    tensors, stored = [], 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        stored += int(end) - int(start)
        if str(entry["dtype"]).startswith(("F", "BF")):  # no buffers of positions
            tensors.append(_tensor(name, [int(size) for size in entry["shape"]]))
    return Header(tensors, stored, {})


def _tensor(name: str, shape: list[int]) -> TensorShape:
    """A table is known by its name alone: in a file nothing else tells it from a matrix."""
    if len(shape) < 2:
        kind = "vector"
    elif any(word in name for word in ("embed", "wte", "wpe", "token_embd", "position_embd")):
        kind = "embedding"
    else:
        kind = "matrix"
    return TensorShape(name, kind, tuple(shape) or (1,))


class _Cursor:
    """Reads values one after the other, a megabyte of file at a time."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._held = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        while len(self._held) - self._at < count:
            if max(len(self._held), count) > LARGEST_HEADER:
                raise ValueError(f"a header of more than {LARGEST_HEADER} bytes")
            more = self._read(len(self._held), max(STEP, count))
            if not more:
                raise ValueError("it ends in the middle of its header")
            self._held += more
        value = self._held[self._at : self._at + count]
        self._at += count
        return value

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == GGUFValueType.STRING:
            return self.text()
        if kind == GGUFValueType.ARRAY:
            inner = self.number("I")
            return [self.value(inner) for _ in range(self.number("Q"))]
        return self.number(NUMBERS[GGUFValueType(kind)])


NUMBERS = {
    GGUFValueType.UINT8: "B", GGUFValueType.INT8: "b", GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h", GGUFValueType.UINT32: "I", GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f", GGUFValueType.BOOL: "?", GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q", GGUFValueType.FLOAT64: "d",
}  # fmt: skip

GGUF_KEYS = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "context_length": "max_position_embeddings",
}


def _gguf(source: str, read: Read) -> Header:
    cursor = _Cursor(read)
    cursor.take(4)
    version = cursor.number("I")
    if version not in (2, 3):
        raise SourceError(f"{source} is GGUF version {version}; 2 and 3 can be read")
    count, pairs = cursor.number("Q"), cursor.number("Q")
    told = {cursor.text(): cursor.value(cursor.number("I")) for _ in range(pairs)}
    tensors, stored = [], 0
    for _ in range(count):
        name = cursor.text()
        shape = [cursor.number("Q") for _ in range(cursor.number("I"))][::-1]
        tensor = _tensor(name, shape)
        weights, size = GGML_QUANT_SIZES[GGMLQuantizationType(cursor.number("I"))]
        cursor.take(8)  # where it is
        stored += tensor.count // weights * size
        tensors.append(tensor)
    family = str(told.get("general.architecture", ""))
    config = {
        name: told[f"{family}.{key}"] for key, name in GGUF_KEYS.items() if f"{family}.{key}" in told
    }
    table = next((tensor for tensor in tensors if tensor.kind == "embedding"), None)
    return Header(
        tensors,
        stored,
        {"model_type": family, **config, **({"vocab_size": table.shape[0]} if table else {})},
    )
