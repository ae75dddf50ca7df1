from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pesoleve import frontier, show
from pesoleve.check import Checked
from pesoleve_worker.catalog import Model, Quality
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
    files = model.wire_files("wasm", "fp32")
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
    with show.progress(console, 2) as (report, tell):
        report("export to ONNX", False)
        tell("half of it")
        report("pack the tokenizer", True)
    lines = [line.strip() for line in printed(console).splitlines()]
    assert "export to ONNX" in lines
    assert "pack the tokenizer" not in lines
    assert "2/2" in printed(console)


def measured(first_build: Work, **kl: float) -> Model:
    """The tiny model, as if each of these dtypes were that far from its source."""
    model = first_build.built.model
    rows = [
        Quality(dtype, metric, "state-of-the-union", 128, value, reference, None)
        for dtype, far in kl.items()
        for metric, value, reference in (
            ("kl", far, 0.0), ("perplexity", 21.5, 21.25), ("top1_agreement", 0.75, 1.0),
        )
    ]  # fmt: skip
    files = {dtype: model.devices["wasm"].files[dtype] for dtype in kl}
    device = replace(model.devices["wasm"], files=files)
    return replace(model, quality=rows, devices={"wasm": device})


def test_the_model_table_has_a_column_for_every_metric(first_build: Work) -> None:
    console = plain_console()
    show.model_table(console, measured(first_build, q8=0.001234567))
    text = printed(console)
    for said in ("kl", "perplexity", "top1_agreement", "0.001235", "21.5000 (+0.2500)", "0.750000"):
        assert said in text


def test_the_frontier_goes_from_the_lightest_to_the_heaviest(first_build: Work) -> None:
    console = plain_console()
    show.frontier_bars(console, frontier.points(measured(first_build, fp32=0.0, q4=0.25, q8=0.0123)))
    heading, *lines = printed(console).splitlines()
    assert "KL" in heading
    assert [line.split()[0] for line in lines] == ["q4", "q8", "fp32"]
    assert [line.split("KL ")[1] for line in lines] == ["0.2500", "0.0123", "0.0000"]
    bars = [line.count("█") for line in lines]
    assert bars == sorted(bars)
    assert bars[-1] == 40


def test_a_dtype_without_a_kl_is_no_point_of_the_frontier(first_build: Work) -> None:
    assert [point.dtype for point in frontier.points(measured(first_build, q8=0.01))] == ["q8"]
    assert frontier.points(first_build.built.model) == []
