"""What travels is not what computes: a decoder's graph for each layout that its weights expand to.

    float32   every matrix in fp32, as it is folded: fastest on WASM and on the CPU
    int8      weights rounded to 8 bits an output, activations to 8 bits a step: a quarter of the memory
    blocks    weights stay packed: MatMulNBits, for WebGPU

        x ─► MatMulNBits(q, scale, zero) ─────────────────────────────┐
        x ─► Reshape (…, K/block, block) ─► ReduceSum ─► MatMul(Mᵀ) ──┴─► Add

      A block with a minimum is scale·q + m. WebGPU's MatMulNBits takes no fractional zero point, so the
      minimum is added apart: Σₖ xₖ·m[n, b(k)] = Σ_b m[n, b]·Σ_{k in b} xₖ. The result is exact.

Every weight is external data in a file of its own, named after the tensor and what it is
(``NAME``, ``NAME.q``, ``NAME.scale``, ``NAME.minimum_t``, …): ``site/worker/expand.js`` and
``expand`` below make the same.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..blocks import BlockTensor
from ..planes import Tensors
from . import cpu_kernels, int8
from .decoder import HEAD, TABLE

LAYOUTS = ("float32", "int8", "blocks")
CODE = (sys.modules[__name__], cpu_kernels, int8)
"""Modules whose code decides what ``lay_out`` and ``expand`` return."""

SMALLEST_EXTERNAL = 256
"""Elements; a smaller tensor is an argument of an operator, not a weight."""

SLICE = 1 << 22
"""Elements of a matrix, at most, that are one fp32 tensor."""
SLICE_ROWS = 16
"""MLAS packs so many outputs together."""


def weights_of(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.float32]]:
    """The graph's weights by name: matrices (N, K), norms and tables."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= SMALLEST_EXTERNAL
    }


def lay_out(model: onnx.ModelProto, tensors: Tensors, layout: str) -> onnx.ModelProto:
    """Return ``model`` for ``layout``, without its weights."""
    laid = onnx.ModelProto()
    laid.CopyFrom(model)
    graph = laid.graph
    for tensor in [t for t in graph.initializer if t.name in tensors]:
        graph.initializer.remove(tensor)
    packed = {n: t.power_of_two_blocks() for n, t in tensors.items() if isinstance(t, BlockTensor)}
    sliced = {
        name: [part for part, _ in _row_slices(name, tensor)]
        for name, tensor in tensors.items()
        if layout == "float32" and isinstance(tensor, BlockTensor)
    }
    if layout != "blocks":
        cpu_kernels.prefer(graph)
        packed = {n: t for n, t in packed.items() if layout == "float32" and _stays_in_blocks(n, t)}
    rounded = {n for n, t in tensors.items() if layout == "int8" and isinstance(t, BlockTensor)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if layout == "blocks" and node.op_type == "FusedMatMul" and node.input[1] in packed:
            nodes += _matmul_in_blocks(node, node.input[1], packed[node.input[1]], graph)
        elif node.op_type == "Gather" and node.input[0] == TABLE and TABLE in packed:
            nodes += _gather_in_blocks(node, packed[TABLE], graph)
        elif node.op_type == "FusedMatMul" and node.input[1] in sliced:
            nodes += _matmul_in_slices(node, sliced[node.input[1]])
        elif node.op_type == "FusedMatMul" and node.input[1] in rounded:
            nodes.append(int8.multiply(node))
        elif node.op_type == "Gather" and node.input[0] in rounded:
            nodes += int8.look_up(node, graph)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for name, content in expand(tensors, layout).items():
        graph.initializer.append(_external(name, content))
    return laid


def expand(tensors: Tensors, layout: str) -> dict[str, npt.NDArray[np.generic]]:
    """Return the external tensors of ``layout`` by name."""
    files: dict[str, npt.NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, BlockTensor):
            files[name] = np.asarray(tensor, np.float32)
        elif layout == "float32":
            in_blocks = _stays_in_blocks(name, tensor)
            if in_blocks:
                files |= _planes(name, tensor.power_of_two_blocks())
            if not in_blocks or HEAD not in tensors:
                weight = tensor.dequantize()
                files |= {part: weight[rows] for part, rows in _row_slices(name, tensor)}
        elif layout == "int8":
            files |= int8.round_outputs(name, tensor.dequantize())
        else:
            files |= _planes(name, tensor.power_of_two_blocks())
    return files


def _stays_in_blocks(name: str, tensor: BlockTensor) -> bool:
    """Whether rows are looked up in the planes where all else is fp32. A table in fp32 beside the head
    that the session packs of it would be a fifth of the memory, for a row a token."""
    return name == TABLE and tensor.minimum is None


def _row_slices(name: str, tensor: BlockTensor) -> list[tuple[str, slice]]:
    """Return the fp32 tensors that a matrix becomes, by name, and which of its rows each has.

    A session packs one matrix after another, holds the one under way twice, and gives none of the
    memory back that it ever took: the head, the largest by far, becomes several. A table that rows are
    looked up in stays whole.
    """
    rows, columns = tensor.q.shape
    whole = name == TABLE and not _stays_in_blocks(name, tensor)
    count = 1 if whole else -(-rows * columns // SLICE)
    if count == 1:
        return [(name, slice(None))]
    step = -(-rows // (count * SLICE_ROWS)) * SLICE_ROWS
    return [(f"{name}.{i}", slice(at, at + step)) for i, at in enumerate(range(0, rows, step))]


def _planes(name: str, tensor: BlockTensor) -> dict[str, npt.NDArray[np.generic]]:
    rows, columns = tensor.q.shape
    groups = columns // tensor.block
    q = tensor.q
    if tensor.bits == 4:
        q = q[:, ::2] | (q[:, 1::2] << np.uint8(4))
    zero = tensor.zero | (tensor.zero << 4 if tensor.bits == 4 else 0)
    width = (groups + 1) // 2 if tensor.bits == 4 else groups
    files: dict[str, npt.NDArray[np.generic]] = {
        f"{name}.q": q.reshape(rows, groups, -1),
        f"{name}.scale": tensor.scale.astype(np.float32),
        f"{name}.zero": np.full((rows, width), zero, np.uint8),
    }
    if tensor.minimum is not None:
        files[f"{name}.minimum_t"] = np.ascontiguousarray(tensor.minimum.astype(np.float32).T)
    return files


def _matmul_in_slices(node: onnx.NodeProto, parts: list[str]) -> list[onnx.NodeProto]:
    if len(parts) == 1:
        return [node]
    nodes = []
    for i, part in enumerate(parts):
        sliced = onnx.NodeProto()
        sliced.CopyFrom(node)
        sliced.name, sliced.input[1], sliced.output[0] = f"{node.name}/{i}", part, f"{node.name}/{i}"
        nodes.append(sliced)
    outputs = [sliced.output[0] for sliced in nodes]
    return [*nodes, helper.make_node("Concat", outputs, list(node.output), f"{node.name}/All", axis=-1)]


def _external(name: str, content: npt.NDArray[np.generic]) -> onnx.TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(content.dtype)
    tensor = TensorProto(
        name=name, data_type=kind, dims=content.shape, data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", name), ("offset", "0"), ("length", str(content.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _matmul_in_blocks(
    node: onnx.NodeProto, name: str, tensor: BlockTensor, graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    rows, columns = tensor.q.shape
    x, y = node.input[0], node.output[0]
    product = y if tensor.minimum is None else f"{node.name}/product"
    nodes = [
        helper.make_node(
            "MatMulNBits",
            [x, f"{name}.q", f"{name}.scale", f"{name}.zero"],
            [product],
            f"{node.name}/NBits",
            domain="com.microsoft",
            K=columns,
            N=rows,
            bits=tensor.bits,
            block_size=tensor.block,
        )
    ]
    if tensor.minimum is None:
        return nodes
    shape = f"{columns}_in_{tensor.block}s"
    known = {initializer.name for initializer in graph.initializer}
    for label, value in ((shape, [0, 0, -1, tensor.block]), ("block_axis", [3])):
        if label not in known:
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), label))
    grouped, sums, added = (f"{node.name}/{part}" for part in ("grouped", "sums", "added"))
    return [
        *nodes,
        helper.make_node("Reshape", [x, shape], [grouped], f"{node.name}/Reshape"),
        helper.make_node(
            "ReduceSum", [grouped, "block_axis"], [sums], f"{node.name}/ReduceSum", keepdims=0
        ),
        helper.make_node("MatMul", [sums, f"{name}.minimum_t"], [added], f"{node.name}/Minimum"),
        helper.make_node("Add", [product, added], [y], f"{node.name}/Add"),
    ]


def _gather_in_blocks(
    node: onnx.NodeProto, tensor: BlockTensor, graph: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Look rows up in the very planes that the head multiplies with: (V, K / block, block).

    The head's zeros share a byte where they have four bits; here each wants a byte of its own. All are
    alike, so the first will do.
    """
    rows, columns = tensor.q.shape
    groups = columns // tensor.block
    for label, value in (
        ("table_scales", [rows, groups, 1]),
        ("table_zeros", [[0]] * groups),
        ("table_row", [0, 0, columns]),
    ):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), label))
    scale, zero, found = f"{TABLE}.scale3", f"{TABLE}.zero3", f"{node.name}/blocks"
    return [
        helper.make_node("Reshape", [f"{TABLE}.scale", "table_scales"], [scale], f"{node.name}/Scale"),
        helper.make_node(
            "Gather", [f"{TABLE}.zero", "table_zeros"], [zero], f"{node.name}/Zero", axis=1
        ),
        helper.make_node(
            "GatherBlockQuantized",
            [f"{TABLE}.q", node.input[1], scale, zero],
            [found],
            f"{node.name}/NBits",
            domain="com.microsoft",
            gather_axis=0,
            quantize_axis=2,
            block_size=tensor.block,
            bits=tensor.bits,
        ),
        helper.make_node("Reshape", [found, "table_row"], list(node.output), f"{node.name}/Row"),
    ]
