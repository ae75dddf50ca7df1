"""GPTQ: each column's rounding error is made good by the columns not yet rounded.

Frantar et al. 2022, https://arxiv.org/abs/2210.17323. What is minimized is tr((W-Ŵ)H(W-Ŵ)ᵀ), the
squared error of the layer's outputs on calibration inputs X, where H = XᵀX.

Scales come from a search over each block when it is reached, or are given as ``step``: one for each
row, whatever the block. An entropy coder wants the second: at the same rate, a step that does not
follow each block's range leaves less error, and there is almost nothing to store beside the levels
(Gish and Pierce 1968, https://doi.org/10.1109/TIT.1968.1054193).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, lapack

from ..blocks import BlockTensor, Float
from .rtn import fit_blocks, in_blocks, plane_bits, round_levels

PANEL = 64
"""Columns whose errors are gathered before the rest of the matrix is touched."""

RIDGE = 0.05
"""Part of the mean diagonal that keeps ``towards_source`` from fitting the calibration text alone."""


@dataclass(frozen=True)
class Inputs:
    """What is known of a layer's inputs x: in which ``order`` its columns are rounded, and ``upper``,
    the ``inverse_factor`` of E[x xᵀ] in that order. Layers that read the same share it."""

    order: npt.NDArray[np.intp]
    upper: Float

    @classmethod
    def of(
        cls, hessian: npt.NDArray[np.floating], damping: float = 0.01, act_order: bool = False
    ) -> Self:
        """Args:
        hessian: XᵀX, (K, K), to any scale.
        damping: part of the mean diagonal that is added to the diagonal.
        act_order: round the columns with the largest inputs first; blocks' scales are then searched
            before any error is fed back.
        """
        columns = len(hessian)
        order = np.argsort(-np.diag(hessian), kind="stable") if act_order else np.arange(columns)
        return cls(order, inverse_factor(hessian[np.ix_(order, order)], damping))

    @property
    def act_order(self) -> bool:
        return bool(np.any(np.diff(self.order) != 1))


def quantize_gptq(
    weight: Float,
    inputs: Inputs,
    bits: int,
    block: int,
    *,
    symmetric: bool = True,
    step: npt.NDArray[np.floating] | None = None,
) -> BlockTensor:
    """Quantize ``weight`` (N, K) to 2 ** ``bits`` levels in blocks of ``block`` along K.

    Args:
        step: float, (N, K / block) or what broadcasts to it: the scales; None to search for them.

    Raises:
        ValueError: when a shape, ``bits``, or ``step`` with a minimum cannot be.
    """
    blocks = in_blocks(weight, bits, block)
    rows, columns = weight.shape
    order, upper, act_order = inputs.order, inputs.upper, inputs.act_order
    if len(order) != columns:
        raise ValueError(f"a Hessian {upper.shape} is not for {columns} inputs")
    if step is not None and not symmetric:
        raise ValueError("given steps are for symmetric blocks")
    scale = np.zeros(blocks.shape[:2], np.float16)
    minimum = None if symmetric else np.zeros_like(scale)
    if step is not None:
        scale[:] = step
    elif act_order:
        _fit(scale, minimum, blocks, slice(None), bits)
    zero = 2 ** (bits - 1) if symmetric else 0
    rest = np.ascontiguousarray(weight.T[order], dtype=np.float32)  # columns, contiguous
    levels = np.zeros((columns, rows), np.uint8)
    panel = PANEL if act_order or step is not None else min(PANEL, block)
    while columns % panel or (step is None and not act_order and block % panel):
        panel -= 1
    for start in range(0, columns, panel):
        stop = start + panel
        if step is None and not act_order and start % block == 0:
            reached = np.ascontiguousarray(rest[start : start + block].T)[:, None, :]
            _fit(scale, minimum, reached, slice(start // block, start // block + 1), bits)
        errors = np.zeros((panel, rows), np.float32)
        for column in range(start, stop):
            group = order[column] // block
            wide = scale[:, group].astype(np.float32)
            low = np.float32(0) if minimum is None else minimum[:, group].astype(np.float32)
            rounded = round_levels(rest[column] - low, wide, zero, bits)
            levels[order[column]] = rounded
            error = (rest[column] - ((rounded - zero) * wide + low)) / upper[column, column]
            errors[column - start] = error
            rest[column + 1 : stop] -= upper[column, column + 1 : stop, None] * error
        rest[stop:] -= upper[start:stop, stop:].T @ errors
    return BlockTensor(np.ascontiguousarray(levels.T), scale, minimum, zero, plane_bits(bits))


def inverse_factor(hessian: npt.NDArray[np.floating], damping: float) -> Float:
    """Return U, upper triangular, with UᵀU the inverse of the damped ``hessian``.

    1 / U[k, k]² is what input k adds to the output error once the inputs after it have made good what
    they can. An input that is always zero has no say, and stays finite through the damping.
    """
    damped = np.array(hessian, np.float64)
    power = float(np.diag(damped).mean())
    damped[np.diag_indices_from(damped)] += damping * power if power > 0 else 1.0
    # Turned around, a lower factor is an upper one, V, with V Vᵀ = H; and U is its inverse.
    upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    inverse, _ = lapack.dtrtri(np.asfortranarray(upper))
    return np.asarray(inverse, np.float32)


def towards_source(
    weight: Float, hessian: npt.NDArray[np.floating], drift: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return ΔW (N, K), with which W + ΔW gives from inputs x what W gives from the source's x', by
    (regularized) least squares.

    Args:
        weight: W, (N, K).
        hessian: E[x xᵀ], (K, K).
        drift: E[(x' - x) xᵀ], (K, K).
    """
    ridge = RIDGE * np.diag(hessian).mean() * np.eye(len(hessian))
    change: npt.NDArray[np.float64] = cho_solve(cho_factor(hessian + ridge), (weight @ drift).T).T
    return change


def output_error(weight: Float, other: Float, hessian: npt.NDArray[np.floating]) -> float:
    """Return tr((W-Ŵ)H(W-Ŵ)ᵀ)."""
    change = weight - other
    return float(np.sum((change @ hessian) * change))


def _fit(
    scale: npt.NDArray[np.float16],
    minimum: npt.NDArray[np.float16] | None,
    blocks: Float,
    groups: slice,
    bits: int,
) -> None:
    """Search the scales of ``blocks`` (N, G, B) and put them in columns ``groups``."""
    found, lows = fit_blocks(blocks.reshape(-1, blocks.shape[2]), bits, symmetric=minimum is None)
    scale[:, groups] = found.reshape(blocks.shape[:2])
    if minimum is not None and lows is not None:
        minimum[:, groups] = lows.reshape(blocks.shape[:2])
