"""The layout of integers: weights of 8 bits with a scale an output, activations of 8 bits a step.

DynamicQuantizeMatMul has one activation scale for all rows of a step, which the first tokens' massive
activations (https://arxiv.org/abs/2402.17762) would spoil: see ``STEPS``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ..blocks import Float

STEPS = (4, 32)
"""It is fed its first tokens one by one, and then at most so many at once."""

ZERO = 128


def round_outputs(name: str, weight: Float) -> dict[str, npt.NDArray[np.generic]]:
    """W (N, K) as uint8 (K, N) around 128, and a scale for each output, float32 (N,).

    Around 128, since MLAS multiplies unsigned bytes exactly on every CPU, and signed ones with
    saturation on x86 without VNNI.
    """
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest == 0, np.float32(1), largest / np.float32(127)).astype(np.float32)
    # Halves go up, in doubles: in JS that takes no branch, and half the time.
    levels = np.floor((weight / scale[:, None]).astype(np.float64) + (ZERO + 0.5))
    return {
        f"{name}.int8_t": np.ascontiguousarray(levels.T.astype(np.uint8)),
        f"{name}.output_scale": scale,
        f"{name}.output_zero": np.full(len(scale), ZERO, np.uint8),
    }


def multiply(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return ``node``, a FusedMatMul, in integers."""
    name = node.input[1]
    return helper.make_node(
        "DynamicQuantizeMatMul",
        [node.input[0], f"{name}.int8_t", f"{name}.output_scale", f"{name}.output_zero"],
        list(node.output),
        f"{node.name}/Int8",
        domain="com.microsoft",
    )


def look_up(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return nodes that look columns up in the transposed table that the head multiplies with, in place
    of ``node``, a Gather; what is constant goes to ``graph``."""
    table, ids, at = node.input[0], node.input[1], node.name
    flat, batch = f"{table}.flat", f"{table}.batch"
    for label, value in ((flat, [-1]), (batch, [0])):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), label))
    row, levels, scale, zero, columns, rows = (
        f"{at}/{part}" for part in ("ids", "levels", "scale", "zero", "columns", "rows")
    )
    return [
        helper.make_node("Reshape", [ids, flat], [row], f"{at}/Ids"),
        helper.make_node("Gather", [f"{table}.int8_t", row], [levels], f"{at}/Levels", axis=1),
        helper.make_node("Gather", [f"{table}.output_scale", row], [scale], f"{at}/Scale"),
        helper.make_node("Gather", [f"{table}.output_zero", row], [zero], f"{at}/Zero"),
        helper.make_node(
            "DequantizeLinear", [levels, scale, zero], [columns], f"{at}/Dequantize", axis=1
        ),
        helper.make_node("Transpose", [columns], [rows], f"{at}/Transpose", perm=[1, 0]),
        helper.make_node("Unsqueeze", [rows, batch], list(node.output), f"{at}/Row"),
    ]
