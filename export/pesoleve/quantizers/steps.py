"""How wide each step is when an entropy coder follows: by what a wrong weight costs, not by bits.

With levels coded by entropy, halving the step of any weight costs the same bit. The loss for a given
size is then least when every weight loses the same: a tensor's step is the one at which its predicted
loss, over its weights, is ``loss_per_weight`` (reverse water filling, Cover and Thomas, ch. 10).

The loss is KL(source ‖ quantized) to second order. For a linear layer y = W x it is
½ Σₙ fₙ (ΔW H ΔWᵀ)ₙₙ, where H = E[x xᵀ] and fₙ = E[gₙ²] is the Fisher information of output n: g is the
gradient of log p(token) at y, with the token drawn from the source model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..blocks import Float
from .gptq import Inputs
from .scales import round_mantissa

Double = npt.NDArray[np.float64]

SMALLEST = 0.05
"""A block's root mean square counts as at least this part of the tensor's mean one."""


def rms_steps(
    weight: Float, block: int, relative: float | Float = 1.0, *, mantissa_bits: int = 3
) -> Float:
    """Return steps (N, K / block): ``relative`` times the root mean square of each block.

    Steps go by blocks, although equal ones would do for an ideal coder, because one table of code
    lengths serves a whole plane: blocks with the same spread of levels share it without loss.
    """
    rows, columns = weight.shape
    spread = np.sqrt(np.square(weight.reshape(rows, columns // block, block)).mean(axis=2))
    floor = np.float32(SMALLEST) * spread.mean()
    return round_mantissa(np.maximum(spread, floor) * np.float32(relative), mantissa_bits)


def rank_factors(rows: int, exponent: float, offset: float = 200.0) -> Float:
    """Return factors (N, 1), geometric mean 1, for a table whose rows go from frequent to rare.

    Token ids of a BPE vocabulary are in order of merging, so of frequency, roughly 1 / (rank + offset).
    An error in a token's logit costs as the token's probability, so frequent rows get finer steps.
    """
    logs = exponent * np.log(np.arange(rows)[:, None] + offset)
    factors: Float = np.exp(logs - logs.mean()).astype(np.float32)
    return factors


def predicted_loss(steps: Float, inputs: Inputs, fisher: Double) -> float:
    """Return the loss that GPTQ leaves with ``steps`` (N, K / block), before it is run.

    Args:
        fisher: E[g²] for each output, (N,).
    """
    remaining = np.empty(len(inputs.order))
    remaining[inputs.order] = 1 / np.square(np.diag(inputs.upper).astype(np.float64))
    by_block = remaining.reshape(steps.shape[1], -1).sum(axis=1)
    # A rounding error is uniform over the step: its mean square is a twelfth of the step's.
    return float((np.square(steps.astype(np.float64)) @ by_block) @ fisher / 24)


def relative_step(loss: float, weights: int, loss_per_weight: float) -> float:
    """Return what to multiply steps by, so that ``loss`` over ``weights`` is ``loss_per_weight``."""
    return float(np.sqrt(loss_per_weight * weights / max(loss, np.finfo(np.float64).tiny)))
