"""Add pooling and normalization to an encoder, so that the graph answers with one vector a text.

    last_hidden_state (batch, sequence, hidden) ─┐
    attention_mask    (batch, sequence) ─────────┴─► mean over the unmasked tokens ─► x / max(‖x‖₂, ε)
                                                                 └─► sentence_embedding (batch, hidden)

The formulas, and both epsilons, are those of sentence-transformers' ``Pooling`` and of
``torch.nn.functional.normalize``.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUTPUT = "sentence_embedding"
SMALLEST_COUNT = 1e-9
SMALLEST_NORM = 1e-12


def add_pooling(model: onnx.ModelProto, mode: str, normalize: bool) -> onnx.ModelProto:
    """Return ``model`` with its first output replaced by ``sentence_embedding`` (batch, hidden).

    Args:
        mode: ``mean`` over unmasked tokens, or ``cls``, the first token.
    """
    pooled_model = onnx.ModelProto()
    pooled_model.CopyFrom(model)
    graph = pooled_model.graph
    hidden = graph.output[0]
    width = hidden.type.tensor_type.shape.dim[2]
    pooled = "pooled" if normalize else OUTPUT

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes: int) -> str:
        name = f"pool/{output}"
        graph.node.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    one, two = (constant(f"pool_axis_{n}", np.array([n], np.int64)) for n in (1, 2))
    if mode == "cls":
        node("Gather", [hidden.name, constant("pool_first", np.array(0, np.int64))], pooled, axis=1)
    else:
        mask = node("Cast", ["attention_mask"], "mask_float", to=TensorProto.FLOAT)
        column = node("Unsqueeze", [mask, two], "mask_column")
        kept = node("Mul", [hidden.name, column], "kept_tokens")
        total = node("ReduceSum", [kept, one], "token_sum", keepdims=0)
        count = node("ReduceSum", [mask, one], "token_count", keepdims=1)
        least = constant("pool_smallest_count", np.array(SMALLEST_COUNT, np.float32))
        node("Div", [total, node("Max", [count, least], "token_count_safe")], pooled)
    if normalize:
        norm = node("ReduceL2", [pooled, one], "norm", keepdims=1)
        least = constant("pool_smallest_norm", np.array(SMALLEST_NORM, np.float32))
        node("Div", [pooled, node("Max", [norm, least], "norm_safe")], OUTPUT)
    embedding = helper.make_tensor_value_info(
        OUTPUT, TensorProto.FLOAT, ["batch", width.dim_value or width.dim_param]
    )
    del graph.output[:]
    graph.output.append(embedding)
    return pooled_model
