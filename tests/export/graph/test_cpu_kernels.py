from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from pesoleve.graph import cpu_kernels, decoder, layouts
from pesoleve.planes import Tensors
from tests.export.graph.decoder_run import IDS, in_blocks, logits, opened

CPU_LAYOUTS = ("float32", "int8")


@pytest.fixture(scope="module", params=["llama", "gemma"])
def graph(request: pytest.FixtureRequest, tiny_llama: Path, tiny_gemma: Path) -> onnx.ModelProto:
    return decoder.build_decoder({"llama": tiny_llama, "gemma": tiny_gemma}[request.param])


def ops(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def optimized(
    model: onnx.ModelProto, tensors: Tensors, layout: str, level: ort.GraphOptimizationLevel, to: Path
) -> Counter[str]:
    """What ONNX Runtime makes of the graph."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(to)
    expanded = layouts.expand(tensors, layout)
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in expanded.values()]
    options.add_external_initializers(list(expanded), values)
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return ops(onnx.load(to, load_external_data=False))


@pytest.mark.parametrize("layout", CPU_LAYOUTS)
def test_nothing_is_cast_while_a_decoder_runs(
    graph: onnx.ModelProto, layout: str, tmp_path: Path
) -> None:
    tensors = in_blocks(graph, "Q8_0")
    laid = layouts.lay_out(graph, tensors, layout)
    assert "Cast" not in ops(laid)
    level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert "Cast" not in optimized(laid, tensors, layout, level, tmp_path / "basic.onnx")


@pytest.mark.parametrize("layout", CPU_LAYOUTS)
def test_the_optimizer_finds_nothing_more_than_the_page_lets_it_do(
    graph: onnx.ModelProto, layout: str, tmp_path: Path
) -> None:
    tensors = in_blocks(graph, "Q8_0")
    laid = layouts.lay_out(graph, tensors, layout)
    basic, all_of_them = (
        optimized(laid, tensors, layout, level, tmp_path / f"{level}.onnx")
        for level in (
            ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
            ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
        )
    )
    assert basic == all_of_them


def test_other_kernels_give_the_same_numbers(graph: onnx.ModelProto) -> None:
    tensors = layouts.weights_of(graph)
    expected = logits(opened(graph, tensors, "blocks"), IDS)  # which keeps the graph as it was
    np.testing.assert_allclose(logits(opened(graph, tensors), IDS), expected, rtol=0, atol=2e-5)


def test_a_graph_without_its_rotations_is_refused(graph: onnx.ModelProto) -> None:
    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    del bare.graph.initializer[:]
    with pytest.raises(ValueError, match="cos_cache"):
        cpu_kernels.prefer(bare.graph)
