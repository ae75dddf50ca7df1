from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pesoleve.graph.quantize import SESSION_CONFIG
from pesoleve.native_host import NativeTokenizer
from pesoleve_worker.canary import canary_difference
from pesoleve_worker.catalog import Model
from pesoleve_worker.errors import CatalogError
from tests.recording_host import RecordingSession


@pytest.fixture
def session(encoder_graph: Path) -> RecordingSession:
    return RecordingSession(encoder_graph, SESSION_CONFIG)


def difference(canary_model: Model, session: RecordingSession, tiny_model: Path) -> float:
    tokenizer = NativeTokenizer(tiny_model / "tokenizer.json")
    return asyncio.run(canary_difference(canary_model, "fp32", session, tokenizer))


def with_golden(canary_model: Model, golden: list[list[float]]) -> Model:
    return replace(canary_model, canary=replace(canary_model.canary, outputs={"fp32": golden}))


def test_the_graphs_own_answer_differs_by_nothing(
    canary_model: Model, session: RecordingSession, tiny_model: Path
) -> None:
    assert difference(canary_model, session, tiny_model) < 1e-6
    assert all(tensor.disposed for tensor in [*session.answered, *session.fed])


def test_the_largest_difference_of_any_component_counts(
    canary_model: Model, session: RecordingSession, tiny_model: Path
) -> None:
    golden = np.array(canary_model.canary.outputs["fp32"])
    golden[1, 5] -= 0.25
    moved = with_golden(canary_model, golden.tolist())
    assert difference(moved, session, tiny_model) == pytest.approx(0.25, abs=1e-5)


def test_an_answer_of_another_shape_is_infinitely_far(
    canary_model: Model, session: RecordingSession, tiny_model: Path
) -> None:
    short = with_golden(canary_model, [row[:-1] for row in canary_model.canary.outputs["fp32"]])
    assert difference(short, session, tiny_model) == float("inf")


def test_an_answer_that_is_no_number_is_infinitely_far(
    canary_model: Model, encoder_graph: Path, tiny_model: Path
) -> None:
    session = RecordingSession(encoder_graph, SESSION_CONFIG, error=float("nan"))
    assert difference(canary_model, session, tiny_model) == float("inf")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_canary_with_too_few_or_too_many_rows_is_refused(
    canary_model: Model, session: RecordingSession, tiny_model: Path, rows: int
) -> None:
    golden = [canary_model.canary.outputs["fp32"][0]] * rows
    with pytest.raises(CatalogError, match="'sample' has no canary for 'fp32'"):
        difference(with_golden(canary_model, golden), session, tiny_model)
