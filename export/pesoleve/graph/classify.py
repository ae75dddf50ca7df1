"""Add a classifier to an encoder's graph.

hidden (batch, sequence, hidden) ─► mean over the unmasked tokens ─► · W + b ─► Softmax
                                                         └─► probabilities (batch, labels)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import pool

OUTPUT = "probabilities"


def add_head(
    model: onnx.ModelProto, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> onnx.ModelProto:
    """Return ``model``, whose first output is (batch, sequence, hidden), with ``probabilities``
    instead.

    Args:
        weight: (hidden, labels).
    """
    classified = pool.add_pooling(model, "mean", normalize=False)
    graph = classified.graph
    for name, value in (("classifier.weight", weight), ("classifier.bias", bias)):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
    steps = (
        ("MatMul", [pool.OUTPUT, "classifier.weight"], "scores"),
        ("Add", ["scores", "classifier.bias"], "logits"),
        ("Softmax", ["logits"], OUTPUT),
    )
    graph.node.extend(helper.make_node(op, inputs, [out], name=out) for op, inputs, out in steps)
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", weight.shape[1]])
    )
    return classified
