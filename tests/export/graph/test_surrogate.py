"""A cut model is the model's own first two layers: with its weights it computes what they do."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pesoleve.graph import surrogate

WIDTH = 16


def encoder(layers: int) -> onnx.ModelProto:
    """As the fused encoders are: two skip-and-normalize to a layer, with a matrix between."""
    rng = np.random.default_rng(5)
    nodes, weights = [], []
    state = "x"
    for layer in range(layers):
        for half in ("attention", "output"):
            at = f"{layer}.{half}"
            weight = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
            weights.append(numpy_helper.from_array(weight, f"{at}.weight"))
            weights.append(numpy_helper.from_array(np.ones(WIDTH, np.float32), f"{at}.gamma"))
            nodes.append(helper.make_node("MatMul", [state, f"{at}.weight"], [f"{at}.product"]))
            nodes.append(
                helper.make_node(
                    "SkipLayerNormalization",
                    [f"{at}.product", state, f"{at}.gamma"],
                    [f"{at}.state"],
                    domain="com.microsoft",
                )
            )
            state = f"{at}.state"
    nodes.append(helper.make_node("ReduceMean", [state], ["y"], axes=[1], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, WIDTH])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    answer: np.ndarray = session.run(None, {"x": x})[0]
    return answer


def test_the_first_two_layers_alone() -> None:
    whole = encoder(5)
    cut = surrogate.cut_encoder(whole, 2)
    assert cut is not None
    x = np.random.default_rng(6).standard_normal((1, 3, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(run(cut, x), run(encoder(2), x))
    assert len(cut.graph.initializer) == 2 * 2 * 2
    assert len(whole.graph.node) == 5 * 4 + 1  # which is as it was


def test_what_has_no_so_many_layers_is_not_cut() -> None:
    assert surrogate.cut_encoder(encoder(2), 3) is None
    assert surrogate.cut_encoder(onnx.ModelProto(), 1) is None


@pytest.mark.parametrize(("layers", "counts"), [(30, (1, 3)), (3, (1, 3)), (2, (1, 2)), (1, ())])
def test_two_cuts_tell_a_layer_from_the_rest(layers: int, counts: tuple[int, ...]) -> None:
    assert surrogate.layer_counts(layers) == counts


def test_without_weights_it_asks_for_one_file_of_the_said_size() -> None:
    cut = surrogate.cut_encoder(encoder(3), 2)
    assert cut is not None
    bare, size = surrogate.without_weights(cut)
    large = [t for t in bare.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    assert len(large) == 4  # norms are small, and stay
    assert size == 4 * WIDTH * WIDTH * 4
    assert len(bare.SerializeToString()) < 3000
    weights = b"\x3c" * size
    options = onnxruntime.SessionOptions()
    options.add_external_initializers_from_files_in_memory(["weights.bin"], [weights], [size])
    session = onnxruntime.InferenceSession(bare.SerializeToString(), options)
    [answer] = session.run(None, {"x": np.ones((1, 4, WIDTH), np.float32)})
    assert np.isfinite(answer).all()
