"""8-bit multiplications: with scales that are measured at each run, and with those measured once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pesoleve.graph.integers import make_static, to_integers

from .graph_run import Array

WIDTH = 32


def two_layers() -> onnx.ModelProto:
    """Relu of a matrix, and another matrix."""
    random = np.random.default_rng(5)
    weights = [random.normal(size=(WIDTH, WIDTH)).astype(np.float32) for _ in range(2)]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["given", "first"], ["raised"]),
            helper.make_node("Relu", ["raised"], ["kept"]),
            helper.make_node("MatMul", ["kept", "second"], ["answer"]),
        ],
        "two",
        [helper.make_tensor_value_info("given", onnx.TensorProto.FLOAT, ["rows", WIDTH])],
        [helper.make_tensor_value_info("answer", onnx.TensorProto.FLOAT, ["rows", WIDTH])],
        [numpy_helper.from_array(w, n) for w, n in zip(weights, ("first", "second"), strict=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="module")
def dynamic() -> onnx.ModelProto:
    return to_integers(two_layers())


def some(rows: int, seed: int, times: float = 1.0) -> Array:
    return (np.random.default_rng(seed).normal(size=(rows, WIDTH)) * times).astype(np.float32)


def answer(model: onnx.ModelProto, given: Array) -> Array:
    import onnxruntime

    (values,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"given": given})
    return np.asarray(values)


def test_static_scales_are_constants(dynamic: onnx.ModelProto) -> None:
    static = make_static(dynamic, [{"given": some(8, seed=1)}])
    kinds = Counter(node.op_type for node in static.graph.node)
    assert kinds["MatMulInteger"] == 2
    assert kinds["QuantizeLinear"] == 2
    assert kinds["DynamicQuantizeLinear"] == 0
    assert Counter(n.op_type for n in dynamic.graph.node)["DynamicQuantizeLinear"] == 2


def test_static_answers_as_dynamic_does_where_the_ranges_are_the_same(
    dynamic: onnx.ModelProto,
) -> None:
    given = some(8, seed=1)
    static = make_static(dynamic, [{"given": given}])
    expected = answer(two_layers(), given)
    assert answer(static, given) == pytest.approx(answer(dynamic, given), abs=1e-4)
    assert np.abs(answer(static, given) - expected).max() < 0.03 * np.abs(expected).max()


def test_the_widest_range_of_all_texts_counts(dynamic: onnx.ModelProto) -> None:
    narrow, wide = some(8, seed=1), some(8, seed=2, times=6)
    both = make_static(dynamic, [{"given": narrow}, {"given": wide}])
    alone = make_static(dynamic, [{"given": narrow}])
    expected = answer(two_layers(), wide)

    def error(model: onnx.ModelProto) -> float:
        return float(np.abs(answer(model, wide) - expected).mean())

    assert error(both) < error(alone) / 3  # a range too narrow cuts off what is beyond it


def test_it_is_a_valid_graph(dynamic: onnx.ModelProto) -> None:
    onnx.checker.check_model(make_static(dynamic, [{"given": some(2, seed=3)}]))
