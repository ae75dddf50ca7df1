"""A model cut to its first layers, without its weights: a few kilobytes that tell how fast the whole
would run.

The page fills in weights of its own making, and times two cuts: what a layer takes is the difference,
what the embedding and the head take is the rest.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, numpy_helper

from .storage import WEIGHTS

SMALLEST_EXTERNAL = 1024
"""Bytes of what is not external already; a smaller tensor stays in the graph."""
ALIGNMENT = 64


def layer_counts(layers: int) -> tuple[int, ...]:
    """Return how many layers the cuts of a model with ``layers`` have; none where it has one."""
    return (1, min(3, layers)) if layers > 1 else ()


def cut_encoder(model: onnx.ModelProto, layers: int) -> onnx.ModelProto | None:
    """Return ``model`` with its first ``layers`` alone, or None where it cannot be told what a layer
    is: a fused one ends in every second SkipLayerNormalization."""
    norms = [node for node in model.graph.node if node.op_type == "SkipLayerNormalization"]
    if len(norms) % 2 or len(norms) < 2 * layers:
        return None
    last, kept = norms[-1].output[0], norms[2 * layers - 1].output[0]
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for node in cut.graph.node:
        for place, name in enumerate(node.input):
            if name == last:
                node.input[place] = kept
    _drop_what_nothing_wants(cut.graph)
    return cut


def _drop_what_nothing_wants(graph: onnx.GraphProto) -> None:
    wanted = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):  # a graph is in topological order
        if wanted & set(node.output):
            wanted |= set(node.input)
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    initializers = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(initializers)


def without_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, int]:
    """Return ``model`` with its large tensors in one external file, ``weights.bin``, that is still to
    be made, and the bytes that it has to have."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    end = 0
    for tensor in bare.graph.initializer:
        told = {entry.key: entry.value for entry in tensor.external_data}
        size = int(told["length"]) if "length" in told else _size(tensor)
        if "length" not in told and size < SMALLEST_EXTERNAL:
            continue
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "external_data"):
            tensor.ClearField(field)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", str(end)), ("length", str(size))):
            tensor.external_data.add(key=key, value=value)
        end += -(-size // ALIGNMENT) * ALIGNMENT
    return bare, end


def _size(tensor: TensorProto) -> int:
    return len(tensor.raw_data) or int(numpy_helper.to_array(tensor).nbytes)
