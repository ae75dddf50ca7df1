"""GGUF's quantized blocks as ``BlockTensor``: the same numbers, to the bit, in planes.

    Q4_0, Q5_0, Q8_0   d·(q - zero)                one fp16 scale a block of 32
    Q4_1, Q5_1         d·q + m                     one fp16 scale and minimum a block of 32
    Q4_K               (d·s)·q - (dmin·t)          8 blocks of 32; s and t are 6 bits, d and dmin fp16
    Q6_K               (d·s)·(q - 32)              16 blocks of 16; s is 8 bits, d fp16

Layouts: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h, and gguf-py's
``quants.py``. A K-quant's scale is a product that fp16 cannot hold, so it travels as fp32, where it is
exact: d has 11 significant bits, s at most 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blocks import BlockTensor, repeat_scales

Bytes = npt.NDArray[np.uint8]
NIBBLES = np.array([0, 4], np.uint8).reshape(1, 2, 1)


def _f16(columns: Bytes) -> npt.NDArray[np.float16]:
    return np.ascontiguousarray(columns).view(np.float16)


def _nibbles(columns: Bytes, width: int) -> Bytes:
    """Low nibbles of ``width`` bytes, then their high ones, for each run of ``width`` bytes."""
    runs = columns.reshape(-1, 1, width)
    return ((runs >> NIBBLES) & np.uint8(15)).reshape(len(columns), -1)


def _fifth_bits(columns: Bytes) -> Bytes:
    high = np.ascontiguousarray(columns).view(np.uint32)
    return ((high >> np.arange(32, dtype=np.uint32)) & np.uint32(1)).astype(np.uint8) << np.uint8(4)


def _symmetric(q: Bytes, scale: npt.NDArray[np.float16], zero: int, bits: int) -> BlockTensor:
    return BlockTensor(q, scale, None, zero, bits)


def _q4_0(raw: Bytes) -> BlockTensor:
    return _symmetric(_nibbles(raw[:, 2:], 16), _f16(raw[:, :2]), 8, 4)


def _q4_1(raw: Bytes) -> BlockTensor:
    return BlockTensor(_nibbles(raw[:, 4:], 16), _f16(raw[:, :2]), _f16(raw[:, 2:4]), 0, 4)


def _q5_0(raw: Bytes) -> BlockTensor:
    q = _nibbles(raw[:, 6:], 16) | _fifth_bits(raw[:, 2:6])
    return _symmetric(q, _f16(raw[:, :2]), 16, 8)


def _q5_1(raw: Bytes) -> BlockTensor:
    q = _nibbles(raw[:, 8:], 16) | _fifth_bits(raw[:, 4:8])
    return BlockTensor(q, _f16(raw[:, :2]), _f16(raw[:, 2:4]), 0, 8)


def _q8_0(raw: Bytes) -> BlockTensor:
    return _symmetric(raw[:, 2:] ^ np.uint8(0x80), _f16(raw[:, :2]), 128, 8)


def _q4_k(raw: Bytes) -> BlockTensor:
    from gguf.quants import Q4_K

    factors, offsets = Q4_K.get_scale_min(np.ascontiguousarray(raw[:, 4:16]))
    scale = _f16(raw[:, :2]).astype(np.float32) * factors.astype(np.float32)
    minimum = -(_f16(raw[:, 2:4]).astype(np.float32) * offsets.astype(np.float32))
    return BlockTensor(_nibbles(raw[:, 16:], 32), scale, minimum, 0, 4)


def _q6_k(raw: Bytes) -> BlockTensor:
    low = _nibbles(raw[:, :128], 64)
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 4, 1)
    high = ((raw[:, 128:192].reshape(-1, 1, 32) >> shifts) & np.uint8(3)).reshape(len(raw), -1)
    factors = np.ascontiguousarray(raw[:, 192:208]).view(np.int8).astype(np.float32)
    scale = _f16(raw[:, 208:210]).astype(np.float32) * factors
    return BlockTensor(low | (high << np.uint8(4)), scale, None, 32, 8)


BLOCK_BYTES: dict[str, tuple[int, Callable[[Bytes], BlockTensor]]] = {
    "Q4_0": (18, _q4_0),
    "Q4_1": (20, _q4_1),
    "Q5_0": (22, _q5_0),
    "Q5_1": (24, _q5_1),
    "Q8_0": (34, _q8_0),
    "Q4_K": (144, _q4_k),
    "Q6_K": (210, _q6_k),
}
"""Each type's bytes a block (a super-block, for K-quants), and its reader."""


def read_blocks(kind: str, data: Bytes) -> BlockTensor | None:
    """Return a GGUF tensor's blocks, or None for a type without integers (F32, F16, BF16).

    Args:
        kind: GGUF's name of the type, one of ``sources.gguf_file.TYPES``.
        data: the tensor's bytes, uint8, shape (N, bytes of a row).
    """
    if kind not in BLOCK_BYTES:
        return None
    size, read = BLOCK_BYTES[kind]
    rows = data.shape[0]
    flat = read(data.reshape(-1, size))
    return BlockTensor(
        _by_row(flat.q, rows),
        _by_row(flat.scale, rows),
        None if flat.minimum is None else _by_row(flat.minimum, rows),
        flat.zero,
        flat.bits,
    )


def _by_row(plane: npt.NDArray[Any], rows: int) -> Any:
    return np.ascontiguousarray(plane.reshape(rows, -1))


def stack(parts: list[BlockTensor]) -> BlockTensor:
    """Return tensors that share their inputs as one with all their outputs; no value changes.

    Parts that differ are brought to a common form first: the smallest block, 8-bit planes around 128
    (levels are within -128 and 127), the widest float type, and minimums, zero where there were none.
    """
    if not all(_alike(part, parts[0]) for part in parts):
        parts = _in_common_form(parts)
    minimums = [part.minimum for part in parts if part.minimum is not None]
    joined: Any = np.concatenate(minimums) if minimums else None
    return BlockTensor(
        np.concatenate([part.q for part in parts]),
        np.concatenate([part.scale for part in parts]),
        joined,
        parts[0].zero,
        parts[0].bits,
    )


def _alike(part: BlockTensor, other: BlockTensor) -> bool:
    return (part.bits, part.zero, part.block, part.minimum is None, part.scale.dtype) == (
        other.bits, other.zero, other.block, other.minimum is None, other.scale.dtype,
    )  # fmt: skip


def _in_common_form(parts: list[BlockTensor]) -> list[BlockTensor]:
    block = min(part.block for part in parts)
    dtype = np.result_type(*(part.scale.dtype for part in parts))
    with_minimum = any(part.minimum is not None for part in parts)
    common = []
    for part in parts:
        scale: Any = repeat_scales(part.scale, part.block // block).astype(dtype)
        minimum: Any = None
        if part.minimum is not None:
            minimum = repeat_scales(part.minimum, part.block // block).astype(dtype)
        elif with_minimum:
            minimum = np.zeros_like(scale)
        levels = (part.q.astype(np.int16) - part.zero + 128).astype(np.uint8)
        common.append(BlockTensor(levels, scale, minimum, 128, 8))
    return common
