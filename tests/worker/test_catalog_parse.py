from __future__ import annotations

import copy
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.catalog import Catalog, Model, TextGeneration, to_dict
from pesoleve_worker.errors import CatalogError
from pesoleve_worker.parse import parse
from tests.sample_entry import sample_model

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda leaf: st.lists(leaf, max_size=3) | st.dictionaries(st.text(max_size=8), leaf, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return sample_model(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def entry(model: Model) -> dict[str, Any]:
    """The sample entry as decoded JSON, free to be damaged."""
    decoded = json.loads(json.dumps(to_dict(model)))
    assert isinstance(decoded, dict)
    return decoded


def refusal(value: object, kind: type[Model | Catalog] = Model) -> str:
    """What ``parse`` says when it refuses ``value``."""
    with pytest.raises(CatalogError) as caught:
        parse(kind, value)
    assert caught.value.code == "catalog_invalid"
    return caught.value.message


def test_a_model_survives_json(model: Model, entry: dict[str, Any]) -> None:
    assert parse(Model, entry) == model


def test_a_catalog_survives_json(model: Model) -> None:
    catalog = Catalog(1, [model])
    assert parse(Catalog, json.loads(json.dumps(to_dict(catalog)))) == catalog


def talking(entry: dict[str, Any]) -> dict[str, Any]:
    pipeline = TextGeneration(2048, "{{ messages }}", "<s>", "</s>", [2, 3])
    return {**entry, "task": "text_generation", "pipeline": asdict(pipeline)}


def test_a_model_that_talks_survives_json(entry: dict[str, Any]) -> None:
    model = parse(Model, talking(entry))
    assert model.pipeline == TextGeneration(2048, "{{ messages }}", "<s>", "</s>", [2, 3])
    assert to_dict(model) == talking(entry)


def test_a_pipeline_is_told_apart_and_its_wrong_key_named(entry: dict[str, Any]) -> None:
    talks = talking(entry)
    talks["pipeline"]["voice"] = "loud"
    assert refusal(talks) == "model.pipeline has unknown voice"
    entry["pipeline"]["voice"] = "loud"
    assert refusal(entry) == "model.pipeline has unknown voice"
    entry["pipeline"] = {}
    assert refusal(entry) == "model.pipeline lacks labels, max_length, output"


def test_a_whole_number_is_taken_where_a_fraction_may_be(entry: dict[str, Any]) -> None:
    entry["canary"]["tolerance"] = 1
    tolerance = parse(Model, entry).canary.tolerance
    assert tolerance == 1.0
    assert isinstance(tolerance, float)


def test_an_unknown_key_is_named_with_its_place(entry: dict[str, Any]) -> None:
    entry["files"][2]["colour"] = "red"
    assert refusal(entry) == "model.files[2] has unknown colour"


def test_a_missing_key_is_named_with_its_place(entry: dict[str, Any]) -> None:
    del entry["canary"]["tolerance"]
    assert refusal(entry) == "model.canary lacks tolerance"


def test_the_place_is_told_from_the_catalog_down(entry: dict[str, Any]) -> None:
    del entry["devices"]["wasm"]["files"]
    message = refusal({"schema_version": 6, "models": [entry]}, Catalog)
    assert message == "catalog.models[0].devices.wasm lacks files"


@pytest.mark.parametrize(
    ("path", "value", "place", "expected"),
    [
        (("id",), 3, "model.id", "str"),
        (
            ("task",),
            "translation",
            "model.task",
            "one of feature_extraction, text_classification, text_generation",
        ),
        (("title",), "Sample", "model.title", "an object"),
        (("title", "en"), None, "model.title.en", "str"),
        (("lineage",), {}, "model.lineage", "a list"),
        (("license",), [], "model.license", "an object"),
        (("license", "redistributable"), 1, "model.license.redistributable", "bool"),
        (("parameters", "total"), True, "model.parameters.total", "int"),
        (("parameters", "total"), 3.5, "model.parameters.total", "int"),
        (("quality", 0, "value"), "high", "model.quality[0].value", "float"),
        (("quality", 0, "value"), False, "model.quality[0].value", "float"),
        (
            ("files", 1, "role"),
            "decoder",
            "model.files[1].role",
            "one of graph, weights, tokenizer, ngrams, surrogate",
        ),
        (("files", 0, "dtype"), 32, "model.files[0].dtype", "str"),
        (("files", 1, "codec"), None, "model.files[1].codec", "one of identity, zstd"),
        (("devices", "wasm", "files", "fp32", 0), 7, "model.devices.wasm.files.fp32[0]", "str"),
        (("canary", "outputs", "fp32", 0, 3), "x", "model.canary.outputs.fp32[0][3]", "float"),
    ],
)
def test_a_wrong_type_is_named_with_its_place(
    entry: dict[str, Any], path: tuple[str | int, ...], value: object, place: str, expected: str
) -> None:
    replace(entry, path, value)
    assert refusal(entry) == f"{place} should be {expected}, not {value!r}"


def test_a_number_too_large_for_a_float_is_refused_by_its_place(entry: dict[str, Any]) -> None:
    entry["canary"]["tolerance"] = json.loads("1" + "0" * 400)
    assert "model.canary.tolerance" in refusal(entry)


@given(JSON)
def test_no_json_raises_anything_but_a_catalog_error(value: object) -> None:
    assert refusal(value, Catalog)


@given(data=st.data(), value=JSON)
def test_no_damage_to_an_entry_raises_anything_but_a_catalog_error(
    model: Model, data: st.DataObject, value: object
) -> None:
    damaged = json.loads(json.dumps(to_dict(model)))
    replace(damaged, data.draw(st.sampled_from(places(damaged))), value)
    try:
        assert parse(Model, damaged)
    except CatalogError as error:
        assert error.message.startswith("model")


def test_parse_changes_nothing_that_it_is_given(entry: dict[str, Any]) -> None:
    before = copy.deepcopy(entry)
    parse(Model, entry)
    assert entry == before


def test_a_file_is_found_by_its_path(model: Model) -> None:
    assert model.file(model.files[1].path) is model.files[1]
    with pytest.raises(CatalogError, match=r"'sample' lists no file 'sample/nothing'") as caught:
        model.file("sample/nothing")
    assert caught.value.code == "catalog_invalid"


def test_files_for_gives_each_role_its_file(model: Model) -> None:
    files = model.files_for("wasm", "fp32")
    assert {role: [file.role for file in shards] for role, shards in files.items()} == {
        "tokenizer": ["tokenizer"],
        "graph": ["graph"],
        "weights": ["weights"],
    }
    assert sorted(file.path for file in model.wire_files("wasm", "fp32")) == sorted(
        model.devices["wasm"].files["fp32"]
    )


def test_the_shards_of_a_role_keep_their_order(entry: dict[str, Any]) -> None:
    (weights,) = (file for file in entry["files"] if file["role"] == "weights")
    names = [f"sample/weights-{n}.zst" for n in (2, 0, 1)]
    entry["files"] += [{**weights, "path": name} for name in sorted(names)]
    paths = entry["devices"]["wasm"]["files"]["fp32"]
    paths[paths.index(weights["path"]) : paths.index(weights["path"]) + 1] = names
    shards = parse(Model, entry).files_for("wasm", "fp32")["weights"]
    assert [file.path for file in shards] == names


@pytest.mark.parametrize(
    ("device", "dtype", "said"),
    [
        ("cuda", "fp32", r"no device 'cuda'; it has \['wasm', 'webgpu'\]"),
        ("wasm", "q2", r"no dtype 'q2' on wasm; it has \['fp32'\]"),
    ],
)
def test_files_for_names_what_there_is(model: Model, device: str, dtype: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said) as caught:
        model.files_for(device, dtype)
    assert caught.value.code == "option_invalid"


def test_a_device_that_names_a_file_the_model_lacks_is_an_error(entry: dict[str, Any]) -> None:
    entry["devices"]["wasm"]["files"]["fp32"].append("sample/lost")
    with pytest.raises(CatalogError, match="sample/lost"):
        parse(Model, entry).files_for("wasm", "fp32")


def places(value: Any) -> list[tuple[str | int, ...]]:
    """The path of everything inside ``value``."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [path for key in keys for path in [(key,), *((key, *p) for p in places(value[key]))]]


def replace(value: Any, path: tuple[str | int, ...], new: object) -> None:
    """Put ``new`` at ``path`` inside ``value``."""
    *parents, last = path
    for key in parents:
        value = value[key]
    value[last] = new
