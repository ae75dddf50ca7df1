"""A low-rank adapter beside the weights of a model that stays as it is.

    x ─┬─► MatMul(W) ────────────────────► + ─► …
       └─► MatMul(down) ─► MatMul(up) ─────┘

The graph keeps naming W by its place in the base's ``weights.bin``; the adapter's tensors follow the
end of that. So the base's file crosses the wire once, and a further task costs its adapter and its
graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .classify import add_head
from .storage import SMALLEST_EXTERNAL, WEIGHTS

ALIGNMENT = 64
Array = npt.NDArray[np.float32]


def add_adapter(
    base: onnx.ModelProto, base_bytes: int, adapter: Mapping[str, Array]
) -> tuple[onnx.ModelProto, bytes]:
    """Return ``base`` with the adapter and its classifier, and the bytes that follow the base's
    weights.

    Args:
        base: an encoder's graph with pooling (``graph/pool.py``), its external data not loaded.
        base_bytes: the length of its ``weights.bin``.
        adapter: by ``<projection>.down`` (rank, in) and ``.up`` (out, rank), and ``classifier.*``.

    Raises:
        ValueError: naming a projection that the graph has not.
    """
    model = onnx.ModelProto()
    model.CopyFrom(base)
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    for name in sorted(n.removesuffix(".down") for n in adapter if n.endswith(".down")):
        _add_projection(graph, name, adapter[f"{name}.down"], adapter[f"{name}.up"])
    _forget_pooling(graph)
    model = add_head(model, adapter["classifier.weight"].T, adapter["classifier.bias"])
    return model, _place_behind(model.graph, known, base_bytes)


def _add_projection(graph: onnx.GraphProto, name: str, down: Array, up: Array) -> None:
    place = re.sub(r"/layer/(\d+)/", r"/layer.\1/", "/" + name.replace(".", "/"))
    output = f"{place}/MatMul_output_0"
    at = next((i for i, node in enumerate(graph.node) if output in node.output), None)
    if at is None:
        raise ValueError(f"the base's graph has no projection {name}")
    given = graph.node[at].input[0]
    adapted = f"{name}/adapted"
    for node in graph.node:
        for index, value in enumerate(node.input):
            if value == output:
                node.input[index] = adapted
    nodes = []
    for part, matrix in (("down", down), ("up", up)):
        half = np.ascontiguousarray(matrix.T).astype(np.float16)
        graph.initializer.append(numpy_helper.from_array(half, f"{name}.{part}16"))
        wide = f"{name}.{part}"
        nodes.append(helper.make_node("Cast", [f"{wide}16"], [wide], wide, to=TensorProto.FLOAT))
    nodes += [
        helper.make_node("MatMul", [given, f"{name}.down"], [f"{name}/low"], f"{name}/low"),
        helper.make_node("MatMul", [f"{name}/low", f"{name}.up"], [f"{name}/moved"], f"{name}/moved"),
        helper.make_node("Add", [output, f"{name}/moved"], [adapted], adapted),
    ]
    for offset, node in enumerate(nodes):
        graph.node.insert(at + 1 + offset, node)


def _forget_pooling(graph: onnx.GraphProto) -> None:
    """Make the last layer's output the graph's own again."""
    hidden = [node for node in graph.node if node.op_type == "SkipLayerNormalization"][-1].output[0]
    width = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    kept = [node for node in graph.node if not node.name.startswith("pool/")]
    tensors = [tensor for tensor in graph.initializer if not tensor.name.startswith("pool_")]
    del graph.node[:], graph.initializer[:], graph.output[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)
    graph.output.append(
        helper.make_tensor_value_info(hidden, TensorProto.FLOAT, ["batch", "sequence", width])
    )


def _place_behind(graph: onnx.GraphProto, known: set[str], base_bytes: int) -> bytes:
    content = bytearray(-base_bytes % ALIGNMENT)
    for tensor in graph.initializer:
        if tensor.name in known:
            continue
        raw = numpy_helper.to_array(tensor).tobytes()
        if len(raw) < SMALLEST_EXTERNAL:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        told = (("location", WEIGHTS), ("offset", base_bytes + len(content)), ("length", len(raw)))
        for key, value in told:
            tensor.external_data.add(key=key, value=str(value))
        content += raw + bytes(-len(raw) % ALIGNMENT)
    return bytes(content)
