"""``site/schema/catalog.schema.json`` is the one definition; the dataclasses must say the same."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jsonschema
import pytest

from pesoleve.catalog import SCHEMA
from pesoleve.recipe_base import Text
from pesoleve_worker import catalog
from pesoleve_worker.catalog import SCHEMA_VERSION, Catalog, Model, to_dict
from tests.sample_entry import sample_model

ROOT: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
DEFINITIONS: dict[str, dict[str, Any]] = {"Catalog": ROOT, **ROOT["$defs"]}
OBJECTS = [name for name, schema in DEFINITIONS.items() if "properties" in schema]
TEXT = "LocalizedText"  # in Python a dict by language: its keys are not identifiers
DATACLASSES = {name: kind for name, kind in vars(catalog).items() if dataclasses.is_dataclass(kind)}
SCALARS: dict[object, str] = {int: "integer", float: "number", str: "string", bool: "boolean"}
SCALARS[type(None)] = "null"


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(ROOT)


def test_every_dataclass_has_a_definition_and_every_definition_a_dataclass() -> None:
    assert set(OBJECTS) - {TEXT} == set(DATACLASSES)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_closed_and_requires_all_it_has(name: str) -> None:
    schema = DEFINITIONS[name]
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == sorted(schema["properties"])


@pytest.mark.parametrize("name", DATACLASSES)
def test_a_dataclass_has_exactly_the_fields_of_its_definition(name: str) -> None:
    fields = [field.name for field in dataclasses.fields(DATACLASSES[name])]
    assert sorted(fields) == sorted(DEFINITIONS[name]["properties"])


def test_a_text_has_the_languages_of_the_recipe() -> None:
    languages = [field.alias or name for name, field in Text.model_fields.items()]
    assert sorted(DEFINITIONS[TEXT]["properties"]) == sorted(languages)


FIELDS = [
    (name, field.name) for name, kind in DATACLASSES.items() for field in dataclasses.fields(kind)
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_field_has_the_type_of_its_property(name: str, field: str) -> None:
    hint = get_type_hints(DATACLASSES[name])[field]
    assert agrees(hint, DEFINITIONS[name]["properties"][field])


def test_the_version_is_the_one_the_schema_fixes() -> None:
    assert ROOT["properties"]["schema_version"] == {"const": SCHEMA_VERSION}


def test_what_the_dataclasses_write_is_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = sample_model(tmp_path_factory.mktemp("packed"))
    jsonschema.validate(to_dict(Catalog(SCHEMA_VERSION, [model])), ROOT)


def agrees(hint: Any, schema: dict[str, Any]) -> bool:
    """Whether the values of type ``hint`` are the JSON that ``schema`` wants, and no other."""
    if "const" in schema:
        return type(schema["const"]) is hint
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in DATACLASSES:
            return hint is DATACLASSES[name]
        if name == TEXT:
            return bool(hint == dict[str, str])
        return agrees(hint, DEFINITIONS[name])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return sorted(arguments) == sorted(schema["enum"])
    if "enum" in schema:  # a closed list may be a plain string in Python, never the reverse
        return hint is str
    if origin in (Union, types.UnionType):
        options = schema["anyOf"]
        return len(arguments) == len(options) and all(
            any(agrees(kind, option) for kind in arguments) for option in options
        )
    if origin is list:
        return bool(schema["type"] == "array" and agrees(arguments[0], schema["items"]))
    if origin is dict:
        return bool(schema["type"] == "object") and agrees(arguments[1], schema["additionalProperties"])
    return bool(schema["type"] == SCALARS[hint])


def test_agreement_is_not_granted_to_all() -> None:
    assert not agrees(int, {"type": "string"})
    assert not agrees(list[int], {"type": "array", "items": {"type": "string"}})
    assert not agrees(Literal["a", "b"], {"enum": ["a"]})
    assert not agrees(str | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]})
    assert not agrees(Model, {"$ref": "#/$defs/File"})
