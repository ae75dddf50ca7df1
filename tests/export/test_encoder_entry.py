from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from safetensors.numpy import load_file, save_file

from pesoleve.encoder_entry import (
    Measured,
    check_quality,
    choose_default,
    count_parameters,
    lineage,
    quality,
)
from pesoleve.entry import wire_bytes
from pesoleve.errors import QualityError
from pesoleve.graph import storage
from pesoleve.measure.parity import Parity
from pesoleve.recipe import Recipe, load_recipe
from pesoleve_worker.catalog import File
from tests.tiny_bert import HIDDEN, POSITIONS, vocabulary
from tests.tiny_recipe import write_recipe

NAN = float("nan")
BOUNDS = (
    ("bits = 32\nmax_loss = 1", "bits = 32\nmax_loss = 0.0005"),
    ("block_size = 64\nmax_loss = 1", "block_size = 64\nmax_loss = 0.003"),
    ("block_size = 32\nmax_loss = 1", "block_size = 32\nmax_loss = 0.01"),
    ("default_max_loss = 1", "default_max_loss = 0.005"),
)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    loaded = load_recipe(str(write_recipe(tmp_path / "recipe.toml", "model", *BOUNDS)))
    assert isinstance(loaded, Recipe)
    return loaded


def measured(value: float, reference: float = 0.82, cosine: float = 1.0) -> Measured:
    return Measured(1379, value, reference, Parity(cosine, cosine, 0.01), [[0.5, 0.5]])


def file(dtype: str | None, size: int, role: str = "weights") -> File:
    return File(role, f"tiny/{role}", dtype, "zstd", size, 2 * size, "0" * 64)  # type: ignore[arg-type]


FILES = [
    file(None, 7, "tokenizer"),
    *(file(dtype, 10, "graph") for dtype in ("fp32", "q8", "q4")),
    file("fp32", 1000),
    file("q8", 300),
    file("q4", 160),
]


def test_a_dtype_within_its_bound_passes(recipe: Recipe) -> None:
    check_quality(recipe, "q4", measured(0.8101))
    check_quality(recipe, "q4", measured(0.83))


def test_a_dtype_beyond_its_bound_is_refused_with_the_figures(recipe: Recipe) -> None:
    with pytest.raises(QualityError) as caught:
        check_quality(recipe, "q8", measured(0.8123))
    message = str(caught.value)
    for said in ("tiny-bert in q8", "0.8123", "0.8200", "0.0077", "dtypes.q8.max_loss", "0.0030"):
        assert said in message


def test_each_dtype_is_held_to_its_own_bound(recipe: Recipe) -> None:
    check_quality(recipe, "q4", measured(0.8123))
    with pytest.raises(QualityError):
        check_quality(recipe, "fp32", measured(0.8123))


def test_a_figure_that_is_no_number_is_refused(recipe: Recipe) -> None:
    with pytest.raises(QualityError):
        check_quality(recipe, "q4", measured(NAN))
    with pytest.raises(QualityError):
        check_quality(recipe, "fp32", measured(0.82, cosine=NAN))


def test_the_base_must_reproduce_transformers(recipe: Recipe) -> None:
    check_quality(recipe, "fp32", measured(0.82, cosine=0.999995))
    with pytest.raises(QualityError, match=r"worst cosine is 0\.999000.*pooling"):
        check_quality(recipe, "fp32", measured(0.82, cosine=0.999))
    check_quality(recipe, "q4", measured(0.82, cosine=0.95))


def test_a_dtype_is_weighed_without_the_tokenizer_that_all_share() -> None:
    assert {name: wire_bytes(FILES, name) for name in ("fp32", "q8", "q4")} == {
        "fp32": 1010,
        "q8": 310,
        "q4": 170,
    }


@pytest.mark.parametrize(
    ("q8", "q4", "default"),
    [
        (0.819, 0.816, "q4"),  # both lose less than 0.005: the smallest
        (0.819, 0.814, "q8"),  # q4 loses too much
        (0.814, 0.814, "fp32"),
        (0.825, 0.83, "q4"),  # a gain is no loss
    ],
)
def test_the_default_is_the_smallest_within_the_bound(
    recipe: Recipe, q8: float, q4: float, default: str
) -> None:
    results = {"fp32": measured(0.82), "q8": measured(q8), "q4": measured(q4)}
    assert choose_default(recipe, results, FILES) == default


def test_the_default_is_judged_against_the_base_not_the_reference(recipe: Recipe) -> None:
    results = {"fp32": measured(0.70), "q8": measured(0.699), "q4": measured(0.60)}
    assert choose_default(recipe, results, FILES) == "q8"


def test_lineage_tells_what_each_reduction_cost(recipe: Recipe) -> None:
    results = {"fp32": measured(0.82), "q8": measured(0.81), "q4": measured(0.80)}
    eight, four = lineage(recipe, results, FILES)
    assert (eight.technique, eight.dtype) == ("quantization", "q8")
    assert (eight.quality_before, eight.quality_after) == (0.82, 0.81)
    assert (eight.bytes_before, eight.bytes_after) == (1010, 310)
    assert "8 bits" in eight.detail
    assert "64 weights" in eight.detail
    assert (four.quality_before, four.quality_after) == (0.82, 0.80)
    assert (four.bytes_before, four.bytes_after) == (1010, 170)


def test_quality_puts_every_figure_beside_the_references_own(recipe: Recipe) -> None:
    rows = quality(recipe, {"fp32": measured(0.82), "q4": measured(0.81, cosine=0.99)})
    told = {(row.dtype, row.metric): (row.n, row.value, row.reference_value) for row in rows}
    assert len(told) == len(rows) == 8
    assert told["q4", "spearman"] == (1379, 0.81, 0.82)
    assert told["q4", "cosine_min"] == (2758, 0.99, 1.0)
    assert told["q4", "max_difference"] == (2758, 0.01, 0.0)
    assert {row.dataset for row in rows} == {"stsb-test"}


def test_measured_survives_json(recipe: Recipe) -> None:
    del recipe
    parity = {"cosine_min": 0.8, "cosine_mean": 0.9, "max_difference": 0.1}
    told = {"n": 2, "value": 0.5, "reference_value": 0.75, "canary": [[1.0]], "parity": parity}
    result = Measured.from_json(told)
    assert result == Measured(2, 0.5, 0.75, Parity(0.8, 0.9, 0.1), [[1.0]])
    assert result.loss == 0.25


def test_parameters_are_counted_in_the_source_and_in_the_graph(
    tiny_model: Path, encoder_graph: Path
) -> None:
    counted = count_parameters(tiny_model, storage.load(encoder_graph))
    tensors = load_file(tiny_model / "model.safetensors")
    assert counted.total == sum(tensor.size for tensor in tensors.values())
    assert counted.embedding == (len(vocabulary()) + POSITIONS + 2) * HIDDEN
    pooler = HIDDEN * HIDDEN + HIDDEN  # the graph has no use for it
    assert counted.stored == pytest.approx(counted.total - pooler, abs=8)


def test_shards_are_summed_and_integers_are_not_parameters(tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "model-1.safetensors")
    save_file(
        {"b": np.zeros(5, np.float16), "ids": np.zeros((1, 512), np.int64)},
        tmp_path / "model-2.safetensors",
    )
    assert count_parameters(tmp_path, ModelProto()).total == 17
