from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pesoleve.catalog import CATALOG, read
from pesoleve.check import check
from pesoleve.errors import CheckError
from pesoleve_worker.catalog import File, to_dict
from tests.sample_entry import sample_model

Edit = Callable[[dict[str, Any]], None]

DIGITS_LEFT_OUT = 0.51e-4
"""Half of the last digit that a canary's vectors keep, and what float32 adds to it."""


def edit(models: Path, change: Edit) -> None:
    """Change the first model of the catalog in ``models``."""
    path = models / CATALOG
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value["models"][0])
    path.write_text(json.dumps(value), encoding="utf-8")


def file_of(models: Path, role: str, dtype: str | None) -> File:
    (model,) = read(models).models
    (found,) = (file for file in model.files if (file.role, file.dtype) == (role, dtype))
    return found


def test_what_was_just_built_is_whole(models: Path) -> None:
    seen: list[str] = []
    checked = check(models, seen.append)
    assert [(row.model, row.dtype) for row in checked] == [
        ("tiny-bert", dtype) for dtype in ("fp32", "q8", "q4")
    ]
    # On the machine that recorded them the answers are the same but for the digits that are not kept.
    assert all(row.canary_difference < DIGITS_LEFT_OUT < row.tolerance for row in checked)
    assert seen == ["tiny-bert fp32", "tiny-bert q8", "tiny-bert q4"]


def test_bytes_are_all_that_crosses_the_wire(models: Path) -> None:
    (model,) = read(models).models
    for row in check(models):
        files = model.wire_files("wasm", row.dtype)
        assert row.bytes == sum((models / file.path).stat().st_size for file in files)


@pytest.mark.parametrize(("role", "dtype"), [("weights", "q4"), ("graph", "fp32"), ("tokenizer", None)])
def test_a_flipped_byte_is_found_and_the_file_named(models: Path, role: str, dtype: str | None) -> None:
    file = file_of(models, role, dtype)
    content = bytearray((models / file.path).read_bytes())
    content[len(content) // 2] ^= 1
    (models / file.path).write_bytes(content)
    with pytest.raises(CheckError, match=rf"{file.path} .*sha256.*pesoleve build tiny-bert"):
        check(models)


def test_a_truncated_file_is_named_with_both_sizes(models: Path) -> None:
    file = file_of(models, "weights", "q8")
    content = (models / file.path).read_bytes()
    (models / file.path).write_bytes(content[:-1])
    with pytest.raises(CheckError, match=rf"{file.path} should be {file.bytes:,} bytes"):
        check(models)


def test_a_missing_file_is_named(models: Path) -> None:
    file = file_of(models, "graph", "q4")
    (models / file.path).unlink()
    with pytest.raises(CheckError, match=rf"{file.path} is missing\. Run: pesoleve build"):
        check(models)


def test_an_answer_beyond_the_tolerance_is_told_with_both_figures(models: Path) -> None:
    def move(model: dict[str, Any]) -> None:
        model["canary"]["outputs"]["q4"][1][0] += 0.5

    edit(models, move)
    with pytest.raises(CheckError, match=r"tiny-bert in q4 answers its canary 0\.5 off.*0\.002"):
        check(models)


def test_a_dtype_without_a_canary_is_named(models: Path) -> None:
    edit(models, lambda model: model["canary"]["outputs"].pop("q8"))
    with pytest.raises(CheckError, match=r"tiny-bert in q8: .*no canary for 'q8'"):
        check(models)


def test_a_graph_that_does_not_open_is_told_by_its_dtype(models: Path, tmp_path: Path) -> None:
    model = sample_model(tmp_path / "packed")  # whole files, and no graph in them
    folder = models / "sample"
    folder.mkdir()
    for path in (tmp_path / "packed").iterdir():
        path.rename(folder / path.name)
    edit(models, lambda entry: entry.update(to_dict(model)))
    with pytest.raises(CheckError, match="sample in fp32"):
        check(models)


def test_a_model_that_no_cpu_can_check_is_refused_by_name(models: Path) -> None:
    edit(models, lambda model: model["devices"].pop("wasm"))
    with pytest.raises(CheckError, match="tiny-bert"):
        check(models)


@pytest.mark.parametrize("lost", ["graph", "weights", "tokenizer"])
def test_a_dtype_that_lists_too_few_files_is_refused_by_name(models: Path, lost: str) -> None:
    path = file_of(models, lost, None if lost == "tokenizer" else "q4").path
    edit(models, lambda model: model["devices"]["wasm"]["files"]["q4"].remove(path))
    with pytest.raises(CheckError, match="tiny-bert in q4"):
        check(models)


def test_an_empty_folder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"holds no model\. Run: pesoleve build"):
        check(tmp_path)
