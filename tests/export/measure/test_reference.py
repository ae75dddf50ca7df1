from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pesoleve.graph import storage
from pesoleve.graph.pool import add_pooling
from pesoleve.graph.quantize import SESSION_CONFIG
from pesoleve.measure.embed import embed
from pesoleve.measure.reference import reference_vectors
from pesoleve_worker.catalog import Pipeline
from tests.tiny_bert import HIDDEN

TEXTS = [
    "a man is playing a guitar",
    "",
    "How MUCH is a feather?",
    "under the street light " * 20,
    "áéí çã 秤",
    *(f"{'cat ' * (number % 9)}{number}" for number in range(40)),
]
MAX_LENGTH = 24


@pytest.mark.parametrize(("mode", "normalize"), [("mean", True), ("mean", False), ("cls", True)])
def test_the_built_graph_answers_as_transformers_does(
    tiny_model: Path, exported_graph: Path, tmp_path: Path, mode: str, normalize: bool
) -> None:
    storage.save(add_pooling(storage.load(exported_graph), mode, normalize), tmp_path)
    pipeline = Pipeline(MAX_LENGTH, "sentence_embedding", HIDDEN)
    built = embed(TEXTS, tmp_path, SESSION_CONFIG, tiny_model / "tokenizer.json", pipeline)
    expected = reference_vectors(tiny_model, TEXTS, MAX_LENGTH, mode, normalize)
    assert built.shape == expected.shape == (len(TEXTS), HIDDEN)
    assert built.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(built, expected, atol=2e-5)


def test_vectors_are_in_the_order_of_the_texts(tiny_model: Path) -> None:
    forward = reference_vectors(tiny_model, TEXTS, MAX_LENGTH, "mean", True)
    backward = reference_vectors(tiny_model, TEXTS[::-1], MAX_LENGTH, "mean", True)
    np.testing.assert_allclose(backward[::-1], forward, atol=2e-5)


def test_normalized_vectors_have_unit_length(tiny_model: Path) -> None:
    vectors = reference_vectors(tiny_model, TEXTS, MAX_LENGTH, "mean", True)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
