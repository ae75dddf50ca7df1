from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pesoleve.graph import storage
from pesoleve.graph.pool import OUTPUT, add_pooling
from tests.export.graph.graph_run import Array, feeds, run, run_saved


def pooled_in_numpy(hidden: Array, mask: Array, mode: str, normalize: bool) -> Array:
    if mode == "cls":
        pooled = hidden[:, 0]
    else:
        rows = zip(hidden, mask.astype(bool), strict=True)
        pooled = np.stack([row[kept].mean(axis=0) for row, kept in rows])
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True) if normalize else pooled


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_the_pooled_graph_answers_as_numpy_does(
    exported_graph: Path, tmp_path: Path, mode: str, normalize: bool
) -> None:
    model = add_pooling(storage.load(exported_graph), mode, normalize)
    answer = run(model, tmp_path / "pooled")
    mask = feeds()["attention_mask"]
    expected = pooled_in_numpy(run_saved(exported_graph), mask, mode, normalize)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert answer.shape == expected.shape


def test_the_embedding_is_the_only_output_and_the_given_model_is_untouched(
    exported_graph: Path,
) -> None:
    model = storage.load(exported_graph)
    before = model.SerializeToString(deterministic=True)
    pooled = add_pooling(model, "mean", True)
    assert [value.name for value in pooled.graph.output] == [OUTPUT]
    assert model.SerializeToString(deterministic=True) == before


def fixed_encoder(values: list[list[float]]) -> onnx.ModelProto:
    """A pooled graph whose hidden states, (1, tokens, 2), are ``values`` whatever it is fed."""
    helper, float_, int64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    shape = ["batch", "sequence"]
    constant = onnx.numpy_helper.from_array(np.array([values], np.float32), "values")
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["values"], ["last_hidden_state"]),
            helper.make_node("Identity", ["input_ids"], ["unused_ids"]),
            helper.make_node("Identity", ["token_type_ids"], ["unused_types"]),
        ],
        "fixed",
        [
            helper.make_tensor_value_info(name, int64, shape)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("last_hidden_state", float_, [*shape, 2])],
        [constant],
    )
    opset = [helper.make_opsetid("", 21)]
    return add_pooling(helper.make_model(graph, opset_imports=opset, ir_version=10), "mean", True)


def one_row(mask: list[int]) -> dict[str, Array]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return {name: np.array([mask]) for name in names}


def test_a_zero_vector_is_not_divided_by_zero(tmp_path: Path) -> None:
    storage.save(fixed_encoder([[0, 0], [0, 0]]), tmp_path)
    assert run_saved(tmp_path, given=one_row([1, 1])).tolist() == [[0, 0]]


def test_a_text_without_tokens_is_not_divided_by_zero(tmp_path: Path) -> None:
    storage.save(fixed_encoder([[3, 4], [3, 4]]), tmp_path)
    assert np.isfinite(run_saved(tmp_path, given=one_row([0, 0]))).all()


def test_masked_tokens_do_not_count(tmp_path: Path) -> None:
    storage.save(fixed_encoder([[3, 4], [100, -100]]), tmp_path)
    np.testing.assert_allclose(run_saved(tmp_path, given=one_row([1, 0])), [[0.6, 0.8]], atol=1e-6)
