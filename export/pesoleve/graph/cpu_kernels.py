"""The same decoder in kernels that ONNX Runtime has fast, and small, on the CPU and in WebAssembly.

What is not said here is what the graph said before: every rewrite gives the very numbers.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NO_SINK = "no_sink"
NO_SINK_LOGIT = -1e30
COUNTS = "counts"


def prefer(graph: onnx.GraphProto) -> None:
    """Rewrite ``graph``, a decoder's."""
    _leave_flash_attention(graph)
    _leave_casts(graph)
    _fuse_silu(graph)


def _leave_flash_attention(graph: onnx.GraphProto) -> None:
    """Give GroupQueryAttention a sink that no probability goes to.

    ONNX Runtime 1.30's flash attention on the CPU has no SIMD kernel in WebAssembly: 512 tokens take it
    170 ms a layer where the plain path, which a sink selects, takes 17. exp(-1e30) is 0, so the softmax
    is what it was.
    """
    heads = 0
    for node in graph.node:
        if node.op_type == "GroupQueryAttention":
            heads = next(a.i for a in node.attribute if a.name == "num_heads")
            node.input.extend([""] * (12 - len(node.input)))
            node.input[11] = NO_SINK
    sink = np.full(heads, NO_SINK_LOGIT, np.float32)
    graph.initializer.append(numpy_helper.from_array(sink, NO_SINK))


def _leave_casts(graph: onnx.GraphProto) -> None:
    """Make an int32 of a count by looking it up among all of them.

    Cast is one function of 490 kB in ONNX Runtime's WebAssembly. V8 counts the bytes of code that a
    call goes past, and so optimizes it after some 27 calls, whatever they cast: a second of a thread
    and 106 MB, in the middle of the first answer.
    """
    table = [("first", 0), ("end", _positions(graph) + 1), ("step", 1)]
    for part, value in table:
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int32), f"{COUNTS}/{part}"))
    nodes = [helper.make_node("Range", [f"{COUNTS}/{part}" for part, _ in table], [COUNTS], COUNTS)]
    for node in graph.node:
        if node.op_type == "Cast" and _target(node) == TensorProto.INT32:
            nodes.append(
                helper.make_node("Gather", [COUNTS, node.input[0]], list(node.output), node.name)
            )
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _positions(graph: onnx.GraphProto) -> int:
    """Return how many tokens the tables of GroupQueryAttention's rotations are for."""
    table = next(node.input[7] for node in graph.node if node.op_type == "GroupQueryAttention")
    for tensor in graph.initializer:
        if tensor.name == f"{table}/end":
            return int(numpy_helper.to_array(tensor))
        if tensor.name == table:
            return int(tensor.dims[0])
    raise ValueError(f"the graph has no table {table}")


def _target(cast: onnx.NodeProto) -> int:
    return next(int(a.i) for a in cast.attribute if a.name == "to")


def _fuse_silu(graph: onnx.GraphProto) -> None:
    """Say x·σ(x) in one node, as ONNX Runtime's optimizer would, which then need not run: see
    ``site/worker/ort_host.js``."""
    sigmoids = {node.output[0]: node for node in graph.node if node.op_type == "Sigmoid"}
    fused: set[str] = set()
    for node in graph.node:
        if node.op_type != "Mul":
            continue
        for gate, x in (node.input, reversed(node.input)):
            if gate in sigmoids and list(sigmoids[gate].input) == [x]:
                fused.add(sigmoids[gate].name)
                node.op_type, node.domain = "QuickGelu", "com.microsoft"
                node.attribute.append(helper.make_attribute("alpha", 1.0))
                del node.input[:]
                node.input.append(x)
                break
    kept = [node for node in graph.node if node.name not in fused]
    del graph.node[:]
    graph.node.extend(kept)
