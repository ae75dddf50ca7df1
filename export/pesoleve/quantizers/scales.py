"""Scales with fewer mantissa bits: what is not there need not travel.

A float16 scale has 10 mantissa bits, of which a compressor can save almost none. At 3 bits the scale is
within 6 % of what was asked for, which the levels, rounded afterwards, mostly absorb.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ..blocks import BlockTensor, Float, Scale
from .rtn import round_levels


def round_mantissa(values: npt.NDArray[np.floating], mantissa_bits: int) -> Float:
    """Return ``values`` with ``mantissa_bits`` bits after the leading one, to nearest, float32.

    Raises:
        ValueError: when ``mantissa_bits`` is not in 0..10.
    """
    if not 0 <= mantissa_bits <= 10:
        raise ValueError(f"{mantissa_bits} mantissa bits: from 0 to 10 can be kept")
    mantissa, exponent = np.frexp(np.asarray(values, np.float32))
    units = np.float32(2 ** (mantissa_bits + 1))
    rounded: Float = np.ldexp(np.rint(mantissa * units) / units, exponent)
    return rounded


def round_scales(
    tensor: BlockTensor, mantissa_bits: int, *, weight: Float | None = None, top: int | None = None
) -> BlockTensor:
    """Return ``tensor`` with the scale and minimum of each block rounded to ``mantissa_bits``.

    Args:
        weight: float32, (N, K): what the levels are chosen again for; None keeps the levels.
        top: the highest level; by default the highest that ``tensor`` uses.
    """
    scale = _as_stored(tensor.scale, mantissa_bits)
    minimum = None if tensor.minimum is None else _as_stored(tensor.minimum, mantissa_bits)
    q = tensor.q
    if weight is not None:
        low = np.float32(0) if minimum is None else minimum.astype(np.float32)[:, :, None]
        blocks = weight.reshape(*scale.shape, -1) - low
        levels = round_levels(blocks, scale.astype(np.float32)[:, :, None], tensor.zero, 8)
        highest = int(q.max()) if top is None else top
        q = np.minimum(levels, highest).astype(np.uint8).reshape(q.shape)
    return dataclasses.replace(tensor, q=q, scale=scale, minimum=minimum)


def _as_stored(values: Scale, mantissa_bits: int) -> Scale:
    rounded = round_mantissa(values, mantissa_bits)
    return rounded.astype(np.float16) if values.dtype == np.float16 else rounded
