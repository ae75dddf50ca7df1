from __future__ import annotations

from typing import get_args

import pytest

from pesoleve_worker.architecture import TensorShape
from pesoleve_worker.beside import PROMPT, beside_weights, rotary_bytes
from pesoleve_worker.catalog import Shape, WeightClass
from pesoleve_worker.formats import USUAL, layout_bytes
from pesoleve_worker.sizing import (
    HEAP_FACTOR,
    PYTHON_HEAP,
    RUNTIME_HEAP,
    WEIGHT_CLASSES,
    device_sizes,
    estimate,
    kv_bytes_per_token,
    model_sizes,
    published_shape,
    runtime_heap,
    shape_from_config,
    weight_class,
)

BERT = {
    "model_type": "bert",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}
DISTILBERT = {
    "model_type": "distilbert",
    "n_layers": 6,
    "dim": 768,
    "n_heads": 12,
    "hidden_dim": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (0, "straw"),
        (999_999, "straw"),
        (1_000_000, "fly"),
        (9_999_999, "fly"),
        (10_000_000, "feather"),
        (29_999_999, "feather"),
        (30_000_000, "light"),
        (99_999_999, "light"),
        (100_000_000, "welter"),
        (299_999_999, "welter"),
        (300_000_000, "middle"),
        (999_999_999, "middle"),
        (1_000_000_000, "heavy"),
        (9_999_999_999, "heavy"),
        (10_000_000_000, "super-heavy"),
        (10**15, "super-heavy"),
    ],
)
def test_a_class_begins_where_the_one_before_it_ends(parameters: int, name: str) -> None:
    assert weight_class(parameters) == name


def test_the_classes_are_those_of_the_catalog() -> None:
    assert tuple(name for name, _ in WEIGHT_CLASSES) == get_args(WeightClass)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 parameters"):
        weight_class(-1)


def test_bert_names() -> None:
    assert shape_from_config(BERT) == Shape(
        family="bert",
        layers=6,
        hidden=384,
        heads=12,
        kv_heads=12,
        head_size=32,
        intermediate=1536,
        vocabulary=30522,
        context=512,
    )


def test_distilbert_names() -> None:
    assert shape_from_config(DISTILBERT) == Shape(
        family="distilbert",
        layers=6,
        hidden=768,
        heads=12,
        kv_heads=12,
        head_size=64,
        intermediate=3072,
        vocabulary=30522,
        context=512,
    )


def test_a_head_size_of_its_own_is_kept() -> None:
    assert shape_from_config({**BERT, "head_dim": 256}).head_size == 256
    assert shape_from_config({**BERT, "head_dim": None}).head_size == 32


@pytest.mark.parametrize("value", ["64", 64.0, True, -64])
def test_a_head_size_that_is_no_count_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="head_dim"):
        shape_from_config({**BERT, "head_dim": value})


def test_grouped_queries_keep_their_own_head_count() -> None:
    assert shape_from_config({**BERT, "num_key_value_heads": 3}).kv_heads == 3


@pytest.mark.parametrize("missing", sorted(BERT))
def test_a_missing_key_is_named(missing: str) -> None:
    config = {key: value for key, value in BERT.items() if key != missing}
    with pytest.raises(ValueError, match=rf"no usable {missing}$"):
        shape_from_config(config)


@pytest.mark.parametrize("value", [None, "6", 6.0, True, 0, -6])
def test_a_value_that_is_no_count_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="num_hidden_layers"):
        shape_from_config({**BERT, "num_hidden_layers": value})


@pytest.mark.parametrize("value", ["3", 3.0, True, 0, -3])
def test_a_key_value_head_count_that_is_no_count_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="num_key_value_heads"):
        shape_from_config({**BERT, "num_key_value_heads": value})


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"num_hidden_layers.*vocab_size.*model_type"):
        shape_from_config({})


def test_a_published_configuration_may_leave_out_defaults() -> None:
    gemma = {
        "model_type": "gemma", "vocab_size": 256000, "hidden_size": 2048, "intermediate_size": 16384,
        "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1,
    }  # fmt: skip
    shape = published_shape(gemma)
    assert (shape.head_size, shape.context) == (256, 8192)
    gpt2 = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12}
    shape = published_shape(gpt2)
    assert (shape.hidden, shape.layers, shape.heads) == (768, 12, 12)
    assert (shape.intermediate, shape.context) == (3072, 1024)
    t5 = {"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048,
          "num_layers": 6, "num_heads": 8}  # fmt: skip
    shape = published_shape(t5)
    assert (shape.hidden, shape.head_size, shape.context) == (512, 64, 512)


def test_a_key_and_a_value_a_layer_for_each_token() -> None:
    grouped = shape_from_config({**BERT, "model_type": "llama", "num_key_value_heads": 3})
    assert kv_bytes_per_token(grouped) == 2 * 6 * 3 * 32 * 4
    assert kv_bytes_per_token(grouped, element=2) == 2 * 6 * 3 * 32 * 2
    assert kv_bytes_per_token(shape_from_config(BERT)) == 0


TIED = [
    TensorShape("table", "embedding", (100, 32)),
    TensorShape("norm", "vector", (32,)),
    TensorShape("up", "matrix", (64, 32)),
    TensorShape("head", "matrix", (100, 32), tied_to="table"),
]


def test_what_is_tied_is_multiplied_with_and_kept_once() -> None:
    shape = shape_from_config({**BERT, "model_type": "llama"})
    fast = model_sizes(TIED, shape, "float32", layout_bytes(TIED, "float32"), decoded=1000)
    in_blocks = 3200 // 2 + 100 * (4 + 1)  # the table's 4 bits, a scale and a zero point a row
    kept = 4 * (3200 + 32 + 2048) + in_blocks
    heaps = PYTHON_HEAP + RUNTIME_HEAP["float32"] + round(HEAP_FACTOR["float32"] * kept)
    assert fast.memory_bytes == heaps + rotary_bytes(shape)
    assert fast.loading_bytes == fast.memory_bytes + 1000  # it is expanded a tensor at a time
    assert fast.multiply_adds == 3200 + 2048
    assert fast.read_bytes == 4 * (3200 + 2048)
    assert fast.largest_tensor_bytes == 4 * 3200
    small = model_sizes(TIED, shape, "int8", layout_bytes(TIED, "int8"), decoded=1000)
    assert small.read_bytes == 3200 + 2048 + 5 * 164
    assert small.loading_bytes == small.memory_bytes  # its files stay on the disk until then


@pytest.mark.parametrize(
    ("resident", "heap"),
    [(0, 2**24), (2_000_000, 2**24), (24_000_000, 1.2**6 * 2**24), (10**9, 1.2 * 10**9 + 14e6)],
)
def test_a_heap_that_asks_again_and_again_grows_by_fifths(resident: int, heap: float) -> None:
    found = runtime_heap(resident, "file")
    # Above half a gigabyte a fifth is more than is ever added at once.
    assert heap * 0.999 <= found <= heap + (96 * 2**20 if resident == 10**9 else 10)


def test_a_decoder_asks_once() -> None:
    assert runtime_heap(10**9, "float32") == 38_000_000 + 1_070_000_000


def test_what_travels_is_weights_graph_and_tokenizer_and_the_most_is_held_while_it_loads() -> None:
    llama = shape_from_config({**BERT, "model_type": "llama"})
    found = estimate(TIED, llama)["q8_0"]
    beside = beside_weights(llama)
    least, likely, most = (round(share * found.weight_bytes) for share in USUAL["q8_0"].zstd)
    wire = beside.graph_wire + beside.tokenizer_wire
    assert found.wire_bytes == wire + likely
    assert found.wire_range == (wire + least, wire + most)
    assert found.decoded_bytes == beside.graph + beside.tokenizer + found.weight_bytes
    prompt = PROMPT * kv_bytes_per_token(llama) + beside.activations + beside.logits
    assert found.peak_bytes == found.memory_bytes + prompt  # its weights are next to nothing
    heavy = [TensorShape("up", "matrix", (2**20, 4096))]
    files = device_sizes(heavy, llama, "fp32")["wasm"].loading_bytes + beside.graph + beside.tokenizer
    assert estimate(heavy, llama)["fp32"].peak_bytes == files


def test_a_dtype_fits_where_its_smallest_layout_does() -> None:
    llama = shape_from_config({**BERT, "model_type": "llama"})
    sizes = device_sizes(TIED, llama, "q4_1")
    assert set(sizes) == {"wasm", "wasm_small"}
    found = estimate(TIED, llama)
    assert found["q4_1"].memory_bytes == sizes["wasm_small"].memory_bytes
    assert found["fp32"].memory_bytes == device_sizes(TIED, llama, "fp32")["wasm"].memory_bytes
    assert set(device_sizes(TIED, shape_from_config(BERT), "q4_1")) == {"wasm"}
