from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from pesoleve.graph import storage
from pesoleve.graph.optimize import fuse
from tests.export.graph.graph_run import feeds, run, run_saved
from tests.tiny_bert import HEADS, HIDDEN, LAYERS

KEPT = feeds()["attention_mask"].astype(bool)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.fixture(scope="module")
def fused(exported_graph: Path) -> onnx.ModelProto:
    return fuse(exported_graph / storage.GRAPH, "bert", HEADS, HIDDEN)


def test_fusion_keeps_the_answer(fused: onnx.ModelProto, exported_graph: Path, tmp_path: Path) -> None:
    np.testing.assert_allclose(
        run(fused, tmp_path / "fused")[KEPT], run_saved(exported_graph)[KEPT], atol=1e-4
    )


def test_every_layer_is_fused(fused: onnx.ModelProto) -> None:
    found = operators(fused)
    assert found["Attention"] == LAYERS
    assert found["SkipLayerNormalization"] == 2 * LAYERS
    assert found["BiasGelu"] == LAYERS
    assert found["Softmax"] == 0


def test_the_embedding_tables_stay_plain(fused: onnx.ModelProto) -> None:
    found = operators(fused)
    assert found["EmbedLayerNormalization"] == 0
    tables = {tensor.name for tensor in fused.graph.initializer if len(tensor.dims) == 2}
    gathered = {node.input[0] for node in fused.graph.node if node.op_type == "Gather"}
    assert len(tables & gathered) == 3


def test_an_unknown_family_is_left_as_it_is(exported_graph: Path, tmp_path: Path) -> None:
    model = fuse(exported_graph / storage.GRAPH, "mpnet", HEADS, HIDDEN)
    assert operators(model)["Attention"] == 0
    np.testing.assert_array_equal(run(model, tmp_path / "plain"), run_saved(exported_graph))
