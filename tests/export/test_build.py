from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pesoleve.build import build_recipe, stage_count
from pesoleve.catalog import publish, read, validate
from pesoleve.entry import wire_bytes
from pesoleve.errors import ExportError, QualityError, SourceError
from pesoleve.pack import unpack
from pesoleve.stages import Stages
from pesoleve_worker.catalog import SCHEMA_VERSION, Catalog, Pipeline, Shape, to_dict
from tests.export.sources.damage import copy_of, cut, shard
from tests.export.workshop import Work, Workshop
from tests.tiny_bert import HEADS, HIDDEN, LAYERS, POSITIONS, vocabulary

DTYPES = ["fp32", "q8", "q4"]


def test_the_entry_is_valid_and_tells_the_models_shape(first_build: Work) -> None:
    model = first_build.built.model
    catalog = Catalog(SCHEMA_VERSION, [model])
    assert validate(json.loads(json.dumps(to_dict(catalog))), "built") == catalog
    assert model.shape == Shape(
        "bert", LAYERS, HIDDEN, HEADS, HEADS, HIDDEN // HEADS, 2 * HIDDEN, len(vocabulary()), POSITIONS
    )
    assert model.weight_class == "straw"
    assert isinstance(model.pipeline, Pipeline)
    assert (model.pipeline.max_length, model.pipeline.dimensions) == (24, HIDDEN)
    assert (model.source.kind, model.source.locator) == ("directory", "tiny-bert")


def test_no_path_of_this_machine_is_in_the_entry(first_build: Work, workshop: Workshop) -> None:
    text = json.dumps(to_dict(first_build.built.model))
    assert str(workshop.model.parent) not in text
    assert str(workshop.cache) not in text


def test_every_device_opens_every_dtype_with_a_graph_weights_and_the_tokenizer(
    first_build: Work,
) -> None:
    model = first_build.built.model
    for device in ("wasm", "webgpu"):
        assert list(model.devices[device].files) == DTYPES
        for dtype in DTYPES:
            assert set(model.files_for(device, dtype)) == {"graph", "weights", "tokenizer"}


def test_every_file_is_there_and_is_what_the_entry_says(first_build: Work) -> None:
    built = first_build.built
    assert {Path(file.path).name for file in built.model.files} == {
        path.name for path in built.packed.iterdir()
    }
    for file in built.model.files:
        assert unpack((built.packed / Path(file.path).name).read_bytes(), file)


def test_fewer_bits_travel_lighter_and_the_lightest_good_one_is_the_default(
    first_build: Work,
) -> None:
    model = first_build.built.model
    fp32, q8, q4 = (wire_bytes(model.files, dtype) for dtype in DTYPES)
    assert q4 < q8 < fp32
    assert model.default_dtype == "q4"


def test_fp32_reproduces_transformers_on_the_whole_data_set(first_build: Work) -> None:
    rows = {(row.dtype, row.metric): row for row in first_build.built.model.quality}
    base = rows["fp32", "spearman"]
    assert base.n == 1379
    assert base.value == pytest.approx(base.reference_value, abs=1e-4)
    assert rows["fp32", "cosine_min"].value > 0.99999
    assert rows["q8", "cosine_min"].value > rows["q4", "cosine_min"].value > 0.5


def test_the_canary_holds_a_unit_vector_for_each_input_and_dtype(first_build: Work) -> None:
    canary = first_build.built.model.canary
    assert list(canary.outputs) == DTYPES
    for rows in canary.outputs.values():
        assert np.shape(rows) == (len(canary.inputs), HIDDEN)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def test_the_shipped_tokenizer_neither_cuts_nor_pads(first_build: Work, tiny_model: Path) -> None:
    built = first_build.built
    (file,) = (file for file in built.model.files if file.role == "tokenizer")
    shipped = json.loads(unpack((built.packed / Path(file.path).name).read_bytes(), file))
    given = json.loads((tiny_model / "tokenizer.json").read_text())
    assert given["truncation"] and given["padding"]
    assert shipped == {**given, "truncation": None, "padding": None}


def test_all_stages_are_announced(first_build: Work, workshop: Workshop) -> None:
    announced = stage_count(workshop.recipe())
    assert len(first_build.ran) + len(first_build.cached) == announced
    assert len(set(first_build.ran)) == announced


def test_a_second_build_runs_nothing_and_says_the_same(workshop: Workshop, first_build: Work) -> None:
    again = workshop.build()
    assert again.ran == []
    assert again.built == first_build.built


@pytest.mark.usefixtures("first_build")
def test_another_canary_only_measures_again(workshop: Workshop) -> None:
    work = workshop.build(("how much is a feather", "how much is an onion"))
    assert work.ran == [f"{dtype}: load, run, and measure on stsb-test" for dtype in DTYPES]


def test_another_block_size_of_one_dtype_redoes_that_dtype_only(
    workshop: Workshop, first_build: Work
) -> None:
    work = workshop.build(("block_size = 32", "block_size = 16"))
    *of_q4, gather = work.ran
    assert [label.split(":")[0] for label in of_q4] == ["q4"] * 3
    assert "gather" in gather
    changed, before = work.built.model, first_build.built.model
    assert wire_bytes(changed.files, "q4") > wire_bytes(before.files, "q4")
    cuts = {cut.path for device in before.devices.values() for cut in device.surrogates["q4"]}
    kept = [f for f in before.files if f.dtype != "q4" and f.path not in cuts]
    assert set(kept) < set(changed.files)


@pytest.mark.usefixtures("first_build")
def test_texts_licence_and_bounds_change_without_running_anything(workshop: Workshop) -> None:
    work = workshop.build(
        ("Random weights.", "Weights at random."),
        ("the tests", "the suite"),
        ("tolerance = 0.002", "tolerance = 0.003"),
        ("max_loss = 1", "max_loss = 0.9"),
    )
    assert work.ran == []
    model = work.built.model
    assert model.summary["en"] == "Weights at random."
    assert model.license.attribution == "the suite"
    assert model.canary.tolerance == 0.003


def test_a_bound_that_cannot_be_met_publishes_nothing(
    workshop: Workshop, first_build: Work, models: Path
) -> None:
    rows = [row for row in first_build.built.model.quality if row.metric == "spearman"]
    loser = next(row for row in rows if row.dtype != "fp32" and row.value < row.reference_value)
    block = {"q8": "block_size = 64", "q4": "block_size = 32"}[loser.dtype]
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    with pytest.raises(QualityError, match=rf"dtypes\.{loser.dtype}\.max_loss allows 0\.0000"):
        workshop.publish(models, (f"{block}\nmax_loss = 1", f"{block}\nmax_loss = 0"))
    assert before == {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}


def test_publishing_a_second_time_changes_nothing(workshop: Workshop, models: Path) -> None:
    assert workshop.publish(models) is False


def test_a_block_that_does_not_divide_the_model_is_a_recipe_error(workshop: Workshop) -> None:
    with pytest.raises(ExportError, match=r"block_size"):
        workshop.build(("block_size = 64", "block_size = 128"))


def test_damaged_weights_build_nothing(workshop: Workshop, tiny_model: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_model, tmp_path / "damaged")
    cut(model / "model.safetensors", 3)
    with pytest.raises(SourceError, match=r"model\.safetensors"):
        build_recipe(Workshop(tmp_path, model).recipe(), Stages(workshop.cache))


def test_a_configuration_without_a_shape_names_what_it_lacks(
    workshop: Workshop, tiny_model: Path, tmp_path: Path
) -> None:
    model = copy_of(tiny_model, tmp_path / "shapeless")
    config = json.loads((model / "config.json").read_text())
    del config["num_hidden_layers"]
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=r"shapeless: .*num_hidden_layers"):
        build_recipe(Workshop(tmp_path, model).recipe(), Stages(workshop.cache))


def test_a_sharded_model_answers_as_the_whole_one(
    workshop: Workshop, first_build: Work, tiny_model: Path, tmp_path: Path
) -> None:
    model = copy_of(tiny_model, tmp_path / "sharded")
    shard(model)
    built = build_recipe(Workshop(tmp_path, model).recipe(), Stages(workshop.cache))
    assert built.model.canary == first_build.built.model.canary
    assert built.model.parameters == first_build.built.model.parameters
    publish(tmp_path / "models", {built.model.id: (built.model, built.packed)})
    assert read(tmp_path / "models").models == [built.model]
