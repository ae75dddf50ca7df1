"""Round to nearest, with the scale (and minimum) of each block chosen for the least squared error.

Nothing is calibrated. Scales are rounded to float16, as they travel, before they are judged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..blocks import BlockTensor, Float

Half = npt.NDArray[np.float16]

SHRINKS = np.linspace(1.0, 0.55, 19, dtype=np.float32)
"""How much of a block's range is kept: the clipping search of https://arxiv.org/abs/1810.05723."""

REFITS = 2
"""Rounds of least squares for scale and minimum, with the integers held."""


def quantize_rtn(weight: Float, levels_bits: int, block: int, *, symmetric: bool) -> BlockTensor:
    """Quantize ``weight`` (N, K) in blocks of ``block`` along K, to 2 ** ``levels_bits`` levels.

    Symmetric tensors have a scale a block and zero in the middle; others a scale and a minimum.

    Raises:
        ValueError: when ``levels_bits`` is not in 2..8 or K is not a multiple of ``block``.
    """
    blocks = in_blocks(weight, levels_bits, block)
    scale, minimum = fit_blocks(blocks.reshape(-1, block), levels_bits, symmetric=symmetric)
    shape = blocks.shape[:2]
    return from_scales(
        weight,
        scale.reshape(shape),
        None if minimum is None else minimum.reshape(shape),
        levels_bits,
    )


def in_blocks(weight: Float, levels_bits: int, block: int) -> Float:
    """Return ``weight`` (N, K) as (N, K / block, block), when that can be."""
    if not 2 <= levels_bits <= 8:
        raise ValueError(f"{levels_bits} bits: from 2 to 8 can be stored")
    rows, columns = weight.shape
    if block < 1 or columns % block:
        raise ValueError(f"{columns} is not a multiple of the block size {block}")
    return weight.reshape(rows, columns // block, block)


def from_scales(
    weight: Float, scale: Half, minimum: Half | None, levels_bits: int, *, plane: int | None = None
) -> BlockTensor:
    """Round ``weight`` (N, K) to the levels of ``scale`` and ``minimum`` (N, K / block)."""
    zero = 2 ** (levels_bits - 1) if minimum is None else 0
    blocks = weight.reshape(*scale.shape, -1)
    low = np.float32(0) if minimum is None else minimum.astype(np.float32)[:, :, None]
    q = round_levels(blocks - low, scale.astype(np.float32)[:, :, None], zero, levels_bits)
    return BlockTensor(
        q.astype(np.uint8).reshape(weight.shape), scale, minimum, zero, plane or plane_bits(levels_bits)
    )


def plane_bits(levels_bits: int) -> int:
    """Return the bits of the plane that holds ``levels_bits``: 4 or 8."""
    return 4 if levels_bits <= 4 else 8


def round_levels(values: Float, scale: Float, zero: int, levels_bits: int) -> Float:
    """Return the nearest level of ``values``, as whole float32 in 0 .. 2 ** ``levels_bits`` - 1."""
    safe = np.where(scale == 0, np.float32(1), scale)
    return np.clip(np.rint(values / safe) + np.float32(zero), 0, 2**levels_bits - 1)


def fit_blocks(blocks: Float, levels_bits: int, *, symmetric: bool) -> tuple[Half, Half | None]:
    """Return the scale, and unless ``symmetric`` the minimum, (M,), of rows of ``blocks`` (M, B)."""
    top = 2**levels_bits - 1
    zero = 2 ** (levels_bits - 1) if symmetric else 0
    if symmetric:  # the largest magnitude gets the level that is one further from zero
        peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
        low, span = np.zeros_like(peak), -peak / zero
    else:
        low = blocks.min(axis=1, keepdims=True)
        span = (blocks.max(axis=1, keepdims=True) - low) / top
    best_error = np.full((len(blocks), 1), np.inf, np.float32)
    best_scale, best_low = np.zeros((2, len(blocks), 1), np.float16)
    for shrink in SHRINKS:
        scale = span * shrink
        minimum = low + (span - scale) * top / 2 if not symmetric else low
        for _ in range(REFITS + 1):
            scale16, minimum16 = scale.astype(np.float16), minimum.astype(np.float16)
            step, base = scale16.astype(np.float32), minimum16.astype(np.float32)
            levels = round_levels(blocks - base, step, zero, levels_bits) - zero
            error = np.square(levels * step + base - blocks).sum(axis=1, keepdims=True)
            better = error < best_error
            best_error = np.where(better, error, best_error)
            best_scale = np.where(better, scale16, best_scale)
            best_low = np.where(better, minimum16, best_low)
            scale, minimum = _refit(blocks, levels, step, base, symmetric=symmetric)
    return best_scale[:, 0], None if symmetric else best_low[:, 0]


def _refit(
    blocks: Float, levels: Float, scale: Float, minimum: Float, *, symmetric: bool
) -> tuple[Float, Float]:
    """Least squares for scale and minimum with ``levels`` held; where undetermined, what they were."""
    mean_level = 0 if symmetric else levels.mean(axis=1, keepdims=True)
    mean_value = 0 if symmetric else blocks.mean(axis=1, keepdims=True)
    centred = levels - mean_level
    power = np.square(centred).sum(axis=1, keepdims=True)
    slope = (centred * blocks).sum(axis=1, keepdims=True) / np.where(power == 0, 1, power)
    scale = np.where(power == 0, scale, slope)
    return scale, minimum if symmetric else mean_value - scale * mean_level
