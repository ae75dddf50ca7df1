from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from pesoleve.blocks import BlockTensor
from pesoleve.graph import cpu_kernels, decoder, layouts
from pesoleve.graph.decoder import HEAD, TABLE
from tests.export.graph.decoder_run import IDS, in_blocks, logits, opened
from tests.tiny_llama import HIDDEN, VOCABULARY, write_tiny_llama

KINDS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]


@pytest.fixture(scope="module", params=["llama", "gemma", "untied"])
def graph(
    request: pytest.FixtureRequest,
    tiny_llama: Path,
    tiny_gemma: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> onnx.ModelProto:
    if request.param == "untied":
        directory = tmp_path_factory.mktemp("untied")
        write_tiny_llama(directory, tied=False)
    else:
        directory = {"llama": tiny_llama, "gemma": tiny_gemma}[request.param]
    return decoder.build_decoder(directory)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_compute_what_their_float32_does(graph: onnx.ModelProto, kind: str) -> None:
    """The graph that WebGPU runs, on the CPU."""
    tensors = in_blocks(graph, kind)
    assert sum(isinstance(tensor, BlockTensor) for tensor in tensors.values()) >= 9
    expected = logits(opened(graph, tensors), IDS)
    packed = opened(graph, tensors, "blocks")
    np.testing.assert_allclose(logits(packed, IDS), expected, rtol=0, atol=1e-4)
    packed.truncate(20)
    np.testing.assert_allclose(logits(packed, IDS[20:21])[0], expected[20], rtol=0, atol=1e-4)


@pytest.mark.parametrize("layout", ["float32", "blocks"])
def test_plain_tensors_are_alike_in_every_exact_layout(graph: onnx.ModelProto, layout: str) -> None:
    tensors = layouts.weights_of(graph)
    expected = logits(opened(graph, tensors), IDS)
    np.testing.assert_allclose(logits(opened(graph, tensors, layout), IDS), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_every_external_tensor_is_in_a_file_of_its_name_and_size(
    graph: onnx.ModelProto, kind: str, layout: str
) -> None:
    tensors = in_blocks(graph, kind)
    expanded = layouts.expand(tensors, layout)
    laid = layouts.lay_out(graph, tensors, layout)
    external = {}
    for tensor in laid.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            told = {entry.key: entry.value for entry in tensor.external_data}
            assert (told["location"], told["offset"]) == (tensor.name, "0")
            external[tensor.name] = (tuple(tensor.dims), int(told["length"]))
        else:  # an argument of an operator
            assert np.prod(tensor.dims) < layouts.SMALLEST_EXTERNAL
    assert external == {name: (array.shape, array.nbytes) for name, array in expanded.items()}
    assert all(array.flags.c_contiguous for array in expanded.values())


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_every_external_tensor_is_used(graph: onnx.ModelProto, layout: str) -> None:
    for kind in ("Q4_0", "Q4_1", "Q8_0"):
        tensors = in_blocks(graph, kind)
        used = {n for node in layouts.lay_out(graph, tensors, layout).graph.node for n in node.input}
        assert set(layouts.expand(tensors, layout)) <= used


def test_laying_out_leaves_the_graph_as_it_was(graph: onnx.ModelProto) -> None:
    before = graph.SerializeToString(deterministic=True)
    for layout in layouts.LAYOUTS:
        layouts.lay_out(graph, in_blocks(graph, "Q4_1"), layout)
    assert graph.SerializeToString(deterministic=True) == before


def test_blocks_leave_no_packed_weight_in_float32(graph: onnx.ModelProto) -> None:
    tensors = in_blocks(graph, "Q4_0")
    laid = layouts.lay_out(graph, tensors, "blocks")
    operators = [node.op_type for node in laid.graph.node]
    assert "FusedMatMul" not in operators
    assert operators.count("GatherBlockQuantized") == 1
    names = {tensor.name for tensor in laid.graph.initializer}
    assert not names & {n for n, t in tensors.items() if isinstance(t, BlockTensor)}


def test_only_float32_is_kept_from_flash_attention(graph: onnx.ModelProto) -> None:
    def sinks(layout: str) -> set[str]:
        laid = layouts.lay_out(graph, layouts.weights_of(graph), layout)
        attention = [node for node in laid.graph.node if node.op_type == "GroupQueryAttention"]
        assert attention
        return {node.input[11] if len(node.input) > 11 else "" for node in attention}

    assert sinks("float32") == {cpu_kernels.NO_SINK}
    assert sinks("blocks") == {""}


def test_small_constants_are_no_weights(graph: onnx.ModelProto) -> None:
    assert not any("cache" in name or "scale" in name for name in layouts.weights_of(graph))


def test_four_bits_are_two_to_a_byte_with_the_even_column_low() -> None:
    q = np.arange(16, dtype=np.uint8).reshape(1, 16).repeat(2, axis=1)
    scale = np.ones((1, 1), np.float16)
    expanded = layouts.expand({"w": BlockTensor(q, scale, None, 8, 4)}, "blocks")
    assert expanded["w.q"].shape == (1, 1, 16)
    assert expanded["w.q"][0, 0, :3].tolist() == [0x00, 0x11, 0x22]
    assert expanded["w.zero"].tolist() == [[0x88]]
    assert expanded["w.scale"].dtype == np.float32
    assert set(expanded) == {"w.q", "w.scale", "w.zero"}


def test_a_minimum_is_transposed_for_its_product() -> None:
    tensor = BlockTensor(
        np.zeros((3, 64), np.uint8),
        np.ones((3, 2), np.float16),
        np.arange(6, dtype=np.float16).reshape(3, 2),
        0,
        8,
    )
    expanded = layouts.expand({"w": tensor}, "blocks")
    assert expanded["w.minimum_t"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert set(layouts.expand({"w": tensor}, "float32")) == {"w"}


def test_the_table_and_the_head_of_a_tied_model_are_one(tiny_llama: Path) -> None:
    graph = decoder.build_decoder(tiny_llama)
    expanded = layouts.expand(in_blocks(graph, "Q8_0"), "blocks")
    assert expanded[f"{TABLE}.q"].shape == (VOCABULARY, HIDDEN // 32, 32)
    assert not any(name.startswith(HEAD) for name in expanded)
