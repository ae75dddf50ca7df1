"""Half-quadratic quantization: scale and minimum for an lp error, p < 1, that forgives outliers.

Badri and Shaji 2023, https://mobiusml.github.io/hqq_blog/. Nothing is calibrated. What is minimized is
‖W - Ŵ‖ₚ; an auxiliary E takes the large errors (shrinkage, for p < 1), and the minimum is fitted to
what is left, in turn. The blog moves a zero point; with W = scale · q + minimum the same step is the
mean of W - E - scale · q.
"""

from __future__ import annotations

import numpy as np

from ..blocks import BlockTensor, Float
from .rtn import from_scales, in_blocks, round_levels

NORM = 0.7
BETA = 10.0
"""Weight of the quadratic term, relative to one over a typical error; grows by ``KAPPA`` a round."""
KAPPA = 1.01
ROUNDS = 20


def quantize_hqq(weight: Float, levels_bits: int, block: int, *, norm: float = NORM) -> BlockTensor:
    """Quantize ``weight`` (N, K) in blocks of ``block`` along K, with a scale and a minimum a block.

    Each block keeps the minimum with the least lp error, which the blog judges for a whole matrix.

    Raises:
        ValueError: when ``levels_bits`` is not in 2..8, K is not a multiple of ``block``, or ``norm``
            is not in (0, 1].
    """
    if not 0 < norm <= 1:
        raise ValueError(f"a norm of {norm}: it is in (0, 1]")
    blocks = in_blocks(weight, levels_bits, block)
    low = blocks.min(axis=2, keepdims=True)
    scale16 = ((blocks.max(axis=2, keepdims=True) - low) / (2**levels_bits - 1)).astype(np.float16)
    scale = scale16.astype(np.float32)
    minimum = low
    best_low = low.astype(np.float16)
    best_error = np.full(low.shape, np.inf, np.float32)
    # The blog's betas are for weights of a few hundredths; here they are for the weights at hand.
    unit = max(float(np.abs(weight).mean()), float(np.finfo(np.float32).tiny))
    beta = BETA
    for _ in range(ROUNDS):
        minimum16 = minimum.astype(np.float16)
        base = minimum16.astype(np.float32)
        spread = scale * round_levels(blocks - base, scale, 0, levels_bits)
        error = blocks - base - spread
        loss = np.power(np.abs(error), norm).sum(axis=2, keepdims=True)
        better = loss < best_error
        best_error = np.where(better, loss, best_error)
        best_low = np.where(better, minimum16, best_low)
        outliers = _shrink(error / unit, beta, norm) * unit
        minimum = (blocks - outliers - spread).mean(axis=2, keepdims=True)
        beta *= KAPPA
    return from_scales(weight, scale16[:, :, 0], best_low[:, :, 0], levels_bits)


def _shrink(values: Float, beta: float, norm: float) -> Float:
    """The generalized soft threshold that solves the lp step."""
    size = np.abs(values)
    threshold = np.power(np.maximum(size, np.float32(1e-8)), norm - 1) / np.float32(beta)
    shrunk: Float = np.sign(values) * np.maximum(size - threshold, 0)
    return shrunk
