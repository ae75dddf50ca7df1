from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pesoleve.graph import storage
from pesoleve.graph.export_onnx import export_onnx
from tests.export.graph.graph_run import LENGTHS, feeds, hidden_states, run_saved

KEPT = feeds()["attention_mask"].astype(bool)


def test_the_graph_answers_as_transformers_does(tiny_model: Path, exported_graph: Path) -> None:
    answer = run_saved(exported_graph)
    assert answer.shape == (len(LENGTHS), max(LENGTHS), 64)
    np.testing.assert_allclose(answer[KEPT], hidden_states(tiny_model)[KEPT], atol=1e-4)


def test_batch_and_sequence_are_free(exported_graph: Path) -> None:
    model = storage.load(exported_graph)
    for value in model.graph.input:
        assert [dim.WhichOneof("value") for dim in value.type.tensor_type.shape.dim] == [
            "dim_param",
            "dim_param",
        ]


def test_the_opset_has_four_bit_integers(exported_graph: Path) -> None:
    opsets = {entry.domain: entry.version for entry in storage.load(exported_graph).opset_import}
    assert opsets[""] == 21


def test_the_graph_is_small_and_the_weights_are_beside_it(exported_graph: Path) -> None:
    assert sorted(path.name for path in exported_graph.iterdir()) == ["model.onnx", "weights.bin"]
    assert (exported_graph / "weights.bin").stat().st_size > 300_000
    assert (exported_graph / "model.onnx").stat().st_size < 100_000


def test_exporting_again_makes_the_same_bytes(
    tiny_model: Path, exported_graph: Path, tmp_path: Path
) -> None:
    export_onnx(tiny_model, "feature_extraction", 18, tmp_path)
    for name in (storage.GRAPH, storage.WEIGHTS):
        assert (tmp_path / name).read_bytes() == (exported_graph / name).read_bytes()


def test_saving_over_a_model_does_not_add_to_it(exported_graph: Path, tmp_path: Path) -> None:
    model = storage.load(exported_graph)
    storage.save(model, tmp_path)
    size = (tmp_path / storage.WEIGHTS).stat().st_size
    storage.save(storage.load(tmp_path), tmp_path)
    assert (tmp_path / storage.WEIGHTS).stat().st_size == size
    np.testing.assert_array_equal(run_saved(tmp_path), run_saved(exported_graph))


def test_small_tensors_stay_in_the_graph(tmp_path: Path) -> None:
    tensors = [
        onnx.numpy_helper.from_array(np.ones(size, np.float32), name)
        for name, size in (("small", 4), ("large", 4096))
    ]
    graph = onnx.helper.make_graph([], "weights", [], [], tensors)
    storage.save(onnx.helper.make_model(graph), tmp_path)
    assert (tmp_path / storage.WEIGHTS).stat().st_size == pytest.approx(4096 * 4, abs=4096)
    (loaded, _) = storage.load(tmp_path).graph.initializer
    assert onnx.numpy_helper.to_array(loaded).tolist() == [1, 1, 1, 1]
