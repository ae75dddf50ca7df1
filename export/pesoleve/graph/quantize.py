"""Weights as small integers in blocks, in the forms that ONNX Runtime folds or looks up.

    MatMul, Attention: W (K, N) fp32 ─► DequantizeLinear(int q (K, N), scale (K/block, N))
    Gather:            table (V, H)  ─► GatherBlockQuantized(uint q (V, H), scale (V, H/block))

A session with ``session.disable_quant_qdq`` set folds the first to fp32 once, when it starts: what
travels is small and what computes is fast. The second stays packed in memory and dequantizes only the
rows that a text needs. Scales travel as fp16, and one Cast widens them when the session starts.

What has fewer than 4 bits is stored in 4, where it uses few of the levels: on the wire, entropy coding
(``pack.py``) leaves of them about what their number is worth.

Values are symmetric: q · scale with q in [-2^(bits-1), 2^(bits-1) - 1]. A block's scale maps its
largest magnitude to the lowest q, then is shrunk to whatever of ``SHRINKS`` gives the least squared
error (the clipping search of https://arxiv.org/abs/1810.05723).
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST_WEIGHT = 4096
"""Elements; a smaller tensor is not worth a scale."""

SHRINKS = np.linspace(1.0, 0.6, 17)
SESSION_CONFIG = {"session.disable_quant_qdq": "1"}
"""What a session needs so that the dequantized weights are folded, not computed at every run."""

Float = npt.NDArray[np.float32]
Int = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Blocks:
    """``values`` has the weight's shape; ``scales`` that shape with ``axis`` divided by the block."""

    values: Int
    scales: npt.NDArray[np.float16]


def quantize_blocks(weight: Float, axis: int, block_size: int, bits: int) -> Blocks:
    """Quantize ``weight`` (2-D) in blocks of ``block_size`` along ``axis``.

    Raises:
        ValueError: when ``axis`` is not a multiple of ``block_size``.
    """
    rows = np.moveaxis(weight, axis, -1)
    if rows.shape[-1] % block_size:
        raise ValueError(f"{rows.shape[-1]} is not a multiple of the block size {block_size}")
    blocks = rows.reshape(-1, block_size)
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    peaks = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    best_error = np.full((len(blocks), 1), np.inf, np.float32)
    best_scale = np.zeros((len(blocks), 1), np.float16)
    for shrink in SHRINKS:
        # The scale is rounded to what travels before it is judged.
        scale = (peaks / lowest * shrink).astype(np.float16)
        wide = scale.astype(np.float32)
        error = np.square(_rounded(blocks, wide, lowest, highest) * wide - blocks).sum(
            axis=1, keepdims=True
        )
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
    values = _rounded(blocks, best_scale.astype(np.float32), lowest, highest).astype(np.int8)
    scale_shape = (*rows.shape[:-1], -1)
    return Blocks(
        np.ascontiguousarray(np.moveaxis(values.reshape(rows.shape), -1, axis)),
        np.ascontiguousarray(np.moveaxis(best_scale.reshape(scale_shape), -1, axis)),
    )


def _rounded(blocks: Float, scale: Float, lowest: int, highest: int) -> Float:
    safe = np.where(scale == 0, np.float32(1), scale)
    return np.clip(np.rint(blocks / safe), lowest, highest)


def stored_bits(bits: int) -> int:
    """Return how many bits a level of ``bits`` takes in the file, before compression."""
    return max(4, bits)


def quantize_weights(model: onnx.ModelProto, bits: int, block_size: int) -> onnx.ModelProto:
    """Return ``model`` with the weight of every MatMul, Attention and Gather in integer blocks.

    Args:
        bits: 2, 3, 4 or 8.
        block_size: a power of two, at least 16, that divides each weight's reduced axis.
    """
    stored = stored_bits(bits)
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    graph = quantized.graph
    weights = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) == 2 and np.prod(tensor.dims) >= SMALLEST_WEIGHT
    }
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in graph.node:
        place = {"MatMul": 1, "Attention": 1, "Gather": 0}.get(node.op_type)
        name = node.input[place] if place is not None and place < len(node.input) else ""
        if name not in weights:
            nodes.append(node)
            continue
        tables = node.op_type == "Gather"
        if name not in done:
            done.add(name)
            blocks = quantize_blocks(
                numpy_helper.to_array(weights[name]), 1 if tables else 0, block_size, bits
            )
            graph.initializer.remove(weights[name])
            graph.initializer.extend(_tensors(name, blocks, stored, unsigned=tables))
            nodes.append(_widen(name))
            if not tables:
                nodes.append(_dequantize(name, block_size))
        nodes.append(_lookup(node, name, stored, block_size) if tables else node)
    del graph.node[:]
    graph.node.extend(nodes)
    return quantized


def _tensors(name: str, blocks: Blocks, bits: int, *, unsigned: bool) -> list[onnx.TensorProto]:
    values = blocks.values
    if unsigned:  # GatherBlockQuantized reads bytes as unsigned, around a zero point in the middle
        shifted = values.astype(np.int16) + 2 ** (bits - 1)
        packed = shifted.astype(ml_dtypes.uint4 if bits == 4 else np.uint8)
    else:
        packed = values.astype(ml_dtypes.int4) if bits == 4 else values
    tensors = [
        numpy_helper.from_array(packed, f"{name}_q"),
        numpy_helper.from_array(blocks.scales, f"{name}_scale16"),
    ]
    if unsigned:
        middle = np.full(blocks.scales.shape, 2 ** (bits - 1), packed.dtype)
        tensors.append(numpy_helper.from_array(middle, f"{name}_zero"))
    return tensors


def _widen(name: str) -> onnx.NodeProto:
    return helper.make_node(
        "Cast", [f"{name}_scale16"], [f"{name}_scale"], f"{name}/widen", to=TensorProto.FLOAT
    )


def _dequantize(name: str, block_size: int) -> onnx.NodeProto:
    return helper.make_node(
        "DequantizeLinear",
        [f"{name}_q", f"{name}_scale"],
        [name],
        f"{name}/dequantize",
        axis=0,
        block_size=block_size,
    )


def _lookup(gather: onnx.NodeProto, name: str, bits: int, block_size: int) -> onnx.NodeProto:
    return helper.make_node(
        "GatherBlockQuantized",
        [f"{name}_q", gather.input[1], f"{name}_scale", f"{name}_zero"],
        list(gather.output),
        gather.name,
        domain="com.microsoft",
        gather_axis=0,
        quantize_axis=1,
        block_size=block_size,
        bits=bits,
    )
