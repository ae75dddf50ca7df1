from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pesoleve.graph import storage
from pesoleve.graph.optimize import fuse
from pesoleve.graph.pool import add_pooling
from pesoleve.graph.quantize import (
    SESSION_CONFIG,
    SMALLEST_WEIGHT,
    quantize_blocks,
    quantize_weights,
)
from tests.export.graph.graph_run import Array, run, run_saved
from tests.tiny_bert import HEADS, HIDDEN

WEIGHT_INPUT = {"MatMul": 1, "Attention": 1, "Gather": 0}


@pytest.fixture(scope="module")
def encoder(encoder_graph: Path) -> onnx.ModelProto:
    return storage.load(encoder_graph)


def there_and_back(weight: Array, axis: int, block_size: int, bits: int) -> Array:
    blocks = quantize_blocks(weight, axis, block_size, bits)
    return blocks.values * np.repeat(blocks.scales.astype(np.float32), block_size, axis)


def rounded_in_numpy(model: onnx.ModelProto, bits: int, block_size: int) -> onnx.ModelProto:
    """``model`` in fp32, its large weights replaced by what the integers stand for."""
    rounded = onnx.ModelProto()
    rounded.CopyFrom(model)
    axes = {
        node.input[WEIGHT_INPUT[node.op_type]]: 1 if node.op_type == "Gather" else 0
        for node in rounded.graph.node
        if node.op_type in WEIGHT_INPUT
    }
    for tensor in rounded.graph.initializer:
        if tensor.name in axes and np.prod(tensor.dims) >= SMALLEST_WEIGHT:
            weight = there_and_back(numpy_helper.to_array(tensor), axes[tensor.name], block_size, bits)
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    return rounded


@pytest.mark.parametrize("block_size", [16, 32, 64])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_graph_computes_with_what_its_integers_stand_for(
    encoder: onnx.ModelProto, tmp_path: Path, bits: int, block_size: int
) -> None:
    quantized = run(quantize_weights(encoder, bits, block_size), tmp_path / "quantized", SESSION_CONFIG)
    rounded = run(rounded_in_numpy(encoder, bits, block_size), tmp_path / "rounded")
    np.testing.assert_allclose(quantized, rounded, atol=1e-4)


def test_four_bits_are_not_eight_and_eight_are_close(
    encoder: onnx.ModelProto, encoder_graph: Path, tmp_path: Path
) -> None:
    exact = run_saved(encoder_graph)
    eight = run(quantize_weights(encoder, 8, 32), tmp_path / "q8", SESSION_CONFIG)
    four = run(quantize_weights(encoder, 4, 32), tmp_path / "q4", SESSION_CONFIG)
    assert np.abs(eight - exact).max() < 0.02
    assert np.abs(four - exact).max() > 2 * np.abs(eight - exact).max()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_graph_that_was_not_fused_is_quantized_too(
    exported_graph: Path, tmp_path: Path, bits: int
) -> None:
    plain = fuse(exported_graph / storage.GRAPH, "mpnet", HEADS, HIDDEN)
    quantized = quantize_weights(add_pooling(plain, "mean", True), bits, 32)
    answer = run(quantized, tmp_path / "quantized", SESSION_CONFIG)
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-5)


def test_the_file_shrinks(encoder: onnx.ModelProto, encoder_graph: Path, tmp_path: Path) -> None:
    sizes = [(encoder_graph / storage.WEIGHTS).stat().st_size]
    for bits in (8, 4):
        directory = tmp_path / f"q{bits}"
        directory.mkdir()
        storage.save(quantize_weights(encoder, bits, 64), directory)
        sizes.append((directory / storage.WEIGHTS).stat().st_size)
    full, eight, four = sizes
    assert eight < 0.35 * full
    assert four < 0.6 * eight


def test_no_large_weight_stays_in_fp32(encoder: onnx.ModelProto) -> None:
    quantized = quantize_weights(encoder, 4, 32)
    large = [
        tensor.name
        for tensor in quantized.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= SMALLEST_WEIGHT
    ]
    assert large == []


def test_four_bits_travel_packed_two_to_a_byte(encoder: onnx.ModelProto) -> None:
    tensors = {
        tensor.name: tensor
        for tensor in quantize_weights(encoder, 4, 32).graph.initializer
        if tensor.name.endswith("_q")
    }
    assert tensors
    for tensor in tensors.values():
        assert tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
        assert len(tensor.raw_data) == (np.prod(tensor.dims) + 1) // 2


def test_the_given_model_is_untouched(encoder: onnx.ModelProto) -> None:
    before = encoder.SerializeToString(deterministic=True)
    quantize_weights(encoder, 4, 32)
    assert encoder.SerializeToString(deterministic=True) == before


def test_small_weights_are_left_alone(encoder: onnx.ModelProto) -> None:
    quantized = quantize_weights(encoder, 4, 32)
    names = {tensor.name for tensor in quantized.graph.initializer}
    assert "embeddings.token_type_embeddings.weight" in names


def test_a_weight_that_two_nodes_share_is_quantized_once(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    model = two_products(weight)
    quantized = quantize_weights(model, 8, 32)
    scales = [t.name for t in quantized.graph.initializer if t.name.endswith("_scale16")]
    assert scales == ["weight_scale16"]
    given = {"ids": np.arange(64)[None]}
    storage.save(quantized, tmp_path)
    row = np.arange(64, dtype=np.float32)
    dequantized = there_and_back(weight, 0, 32, 8)
    np.testing.assert_allclose(
        run_saved(tmp_path, SESSION_CONFIG, given),
        [row @ dequantized @ dequantized],
        rtol=1e-4,
        atol=1e-2,
    )


def two_products(weight: Array) -> onnx.ModelProto:
    """ids (1, 64) ─► float ─► x @ weight @ weight."""
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["ids"], ["x"], to=kinds.FLOAT),
            helper.make_node("MatMul", ["x", "weight"], ["y"]),
            helper.make_node("MatMul", ["y", "weight"], ["z"]),
        ],
        "products",
        [helper.make_tensor_value_info("ids", kinds.INT64, [1, 64])],
        [helper.make_tensor_value_info("z", kinds.FLOAT, [1, 64])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
