from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pesoleve.errors import SourceError
from pesoleve.recipe_base import DirectorySource
from pesoleve.sources import ModelSource, resolve
from tests.export.sources.damage import copy_of, cut, shard

REMEDY = "Point 'source.path' at a complete copy of the model."


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return copy_of(tiny_model, tmp_path / "tiny-bert")


def found(path: Path) -> ModelSource:
    return resolve(DirectorySource(kind="directory", path=path))


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        found(path)
    message = str(caught.value)
    assert message.endswith(REMEDY)
    return message


def test_a_complete_directory_is_found(model: Path) -> None:
    source = found(model)
    assert (source.kind, source.revision, source.directory) == ("directory", "", model)
    assert re.fullmatch("[0-9a-f]{64}", source.sha256)
    assert source.read_json("config.json")["model_type"] == "bert"


def test_only_its_name_is_kept_never_its_place(model: Path) -> None:
    assert found(model).locator == "tiny-bert"


def test_the_name_is_known_even_through_a_relative_path(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    assert found(Path()).locator == "tiny-bert"


def test_the_digest_follows_the_contents_and_nothing_else(model: Path, tiny_model: Path) -> None:
    before = found(tiny_model).sha256
    (model / "README.md").write_text("notes")
    assert found(model).sha256 == before
    for name in ("config.json", "tokenizer.json"):
        content = (model / name).read_text()
        (model / name).write_text(content + "\n")
        assert found(model).sha256 != before
        (model / name).write_text(content)
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    assert found(model).sha256 != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert f"{name} is missing from {model}" in refusal(model)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"there is no directory {tmp_path / 'nowhere'}" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_truncated_weights_are_refused_with_both_sizes(model: Path, size: int) -> None:
    path = model / "model.safetensors"
    whole = path.stat().st_size
    cut(path, size)
    assert f"{path} should be {whole:,} bytes by its own header, and is {whole - size:,}" in (
        refusal(model)
    )


def test_weights_with_bytes_to_spare_are_refused(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"\0")
    assert "bytes by its own header" in refusal(model)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10\0\0",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90\n",
        b"\xff" * 64,
        b"\x02\0\0\0\0\0\0\0[]",
        b'\x0a\0\0\0\0\0\0\0{"a": [1]}',
        b'\x20\0\0\0\0\0\0\0{"a":{"data_offsets":["0","4"]}}',
    ],
    ids=["empty", "cut header", "git-lfs pointer", "noise", "a list", "no offsets", "text offsets"],
)
def test_what_is_no_safetensors_file_is_refused(model: Path, content: bytes) -> None:
    (model / "model.safetensors").write_bytes(content)
    assert "should be a safetensors file" in refusal(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_truncated_json_is_refused(model: Path, name: str) -> None:
    cut(model / name, 10)
    message = refusal(model)
    assert f"{model / name} should be JSON" in message
    assert "truncated" in message


def test_json_that_is_no_object_is_refused(model: Path) -> None:
    (model / "config.json").write_text("[]")
    assert "should hold a JSON object, not list" in refusal(model)


def test_shards_are_found_through_their_index(model: Path) -> None:
    whole = found(model).sha256
    shard(model)
    assert found(model).sha256 != whole


def test_a_missing_shard_is_named(model: Path) -> None:
    first, _ = shard(model)
    first.unlink()
    assert f"{first.name} is missing" in refusal(model)


def test_a_truncated_shard_is_named(model: Path) -> None:
    _, second = shard(model)
    cut(second, 8)
    assert str(second) in refusal(model)


def test_a_change_in_any_shard_changes_the_digest(model: Path) -> None:
    _, second = shard(model)
    before = found(model).sha256
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(content)
    assert found(model).sha256 != before


def test_the_digest_is_over_the_names_too(model: Path) -> None:
    _, second = shard(model)
    before = found(model).sha256
    renamed = second.rename(model / "model-9.safetensors")
    index = model / "model.safetensors.index.json"
    index.write_text(index.read_text().replace(second.name, renamed.name))
    assert found(model).sha256 != before


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["a"]}])
def test_an_index_without_a_map_is_refused(model: Path, index: object) -> None:
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "'weight_map'" in refusal(model)
