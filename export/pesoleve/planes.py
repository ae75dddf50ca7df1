"""Weights as they travel: a safetensors file of planes, which compresses better than whole blocks do.

    NAME             float32 values of a tensor that is not in blocks
    NAME.q           uint8: levels, two to a byte (the even column in the low nibble) when bits is 4
    NAME.scale       float16 or float32, byte-shuffled: all most significant bytes, then the next …
    NAME.minimum     likewise, where there is one

The header's ``__metadata__.blocks`` tells, for each tensor in blocks, its shape, bits, block, zero and
the float type of its scales. Shuffling (as in Blosc) saves a tenth of the scales' bytes after zstd.
Format: https://huggingface.co/docs/safetensors. ``site/worker/planes.js`` reads the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import BlockTensor, Float, Scale

Tensors = Mapping[str, BlockTensor | Float]
ALIGNMENT = 8


def write_planes(tensors: Tensors) -> bytes:
    """Return the file; tensors keep their order."""
    blocks: dict[str, Any] = {}
    header: dict[str, Any] = {}
    planes: list[bytes] = []
    offset = 0

    def add(name: str, content: bytes, dtype: str, shape: list[int]) -> None:
        nonlocal offset
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [offset, offset + len(content)],
        }
        planes.append(content)
        offset += len(content)

    for name, tensor in tensors.items():
        if not isinstance(tensor, BlockTensor):
            add(name, np.asarray(tensor, np.float32).tobytes(), "F32", list(tensor.shape))
            continue
        blocks[name] = {
            "shape": list(tensor.q.shape),
            "bits": tensor.bits,
            "block": tensor.block,
            "zero": tensor.zero,
            "scale": "F16" if tensor.scale.dtype == np.float16 else "F32",
        }
        for plane, content in (
            ("q", _pack(tensor.q, tensor.bits)),
            ("scale", _shuffle(tensor.scale)),
            ("minimum", b"" if tensor.minimum is None else _shuffle(tensor.minimum)),
        ):
            if content:
                add(f"{name}.{plane}", content, "U8", [len(content)])
    text = json.dumps(
        {"__metadata__": {"blocks": json.dumps(blocks, separators=(",", ":"))}, **header},
        separators=(",", ":"),
    ).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, *planes])


def read_planes(content: bytes) -> dict[str, BlockTensor | Float]:
    """The inverse of ``write_planes``.

    Raises:
        ValueError: when ``content`` is not such a file.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    blocks = json.loads(header.pop("__metadata__")["blocks"])
    data = np.frombuffer(content, np.uint8, offset=8 + length)

    def plane(name: str) -> npt.NDArray[np.uint8]:
        start, end = header[name]["data_offsets"]
        return data[start:end]

    tensors: dict[str, BlockTensor | Float] = {}
    for full, entry in header.items():
        name, _, kind = full.rpartition(".")
        if entry["dtype"] == "F32":
            tensors[full] = plane(full).view(np.float32).reshape(entry["shape"])
        elif kind == "q":
            of = blocks[name]
            rows, columns = of["shape"]
            shape = (rows, columns // of["block"])
            dtype = np.dtype(np.float16 if of["scale"] == "F16" else np.float32)
            minimum = f"{name}.minimum"
            tensors[name] = BlockTensor(
                _unpack(plane(full), of["bits"]).reshape(rows, columns),
                _unshuffle(plane(f"{name}.scale"), dtype).reshape(shape),
                _unshuffle(plane(minimum), dtype).reshape(shape) if minimum in header else None,
                of["zero"],
                of["bits"],
            )
    return tensors


def _pack(q: npt.NDArray[np.uint8], bits: int) -> bytes:
    return ((q[:, ::2] | (q[:, 1::2] << 4)) if bits == 4 else q).tobytes()


def _unpack(plane: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    return np.stack([plane & 15, plane >> 4], axis=-1) if bits == 4 else plane


def _shuffle(values: Scale) -> bytes:
    size = values.dtype.itemsize
    return values.reshape(-1).view(np.uint8).reshape(-1, size)[:, ::-1].T.tobytes()


def _unshuffle(plane: npt.NDArray[np.uint8], dtype: np.dtype[Any]) -> Any:
    rows = plane.reshape(dtype.itemsize, -1)[::-1]
    return np.ascontiguousarray(rows.T).view(dtype)
