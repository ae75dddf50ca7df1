from __future__ import annotations

import io

import pytest
from rich.console import Console

from pesoleve import show
from pesoleve.check import Checked
from tests.export.workshop import Work


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.00 MB"), (14_567_890, "14.57 MB"), (1_234_567_890, "1,234.57 MB")],
)
def test_megabytes_are_decimal(count: int, text: str) -> None:
    assert show.megabytes(count) == text


def test_the_model_table_has_a_row_for_each_dtype(first_build: Work) -> None:
    console = plain_console()
    model = first_build.built.model
    show.model_table(console, model)
    text = printed(console)
    assert "tiny-bert: strawweight, 0.1 M parameters" in text
    assert "q4 (default)" in text
    for row in model.quality:
        if row.metric == "spearman":
            assert f"{row.value:.4f}" in text
    files = model.files_for("wasm", "fp32").values()
    assert show.megabytes(sum(file.bytes for file in files)) in text
    assert show.megabytes(sum(file.decoded_bytes for file in files)) in text


def test_the_check_table_has_a_row_for_each_check() -> None:
    console = plain_console()
    show.check_table(console, [Checked("tiny-bert", "q4", 1_500_000, 0.00012, 0.002)])
    text = printed(console)
    for said in ("tiny-bert", "q4", "1.50 MB", "0.00012", "0.002"):
        assert said in text


def test_progress_names_the_stages_that_run_and_not_those_that_were_there() -> None:
    console = plain_console()
    with show.progress(console, 2) as report:
        report("export to ONNX", False)
        report("pack the tokenizer", True)
    lines = [line.strip() for line in printed(console).splitlines()]
    assert "export to ONNX" in lines
    assert "pack the tokenizer" not in lines
    assert "2/2" in printed(console)
