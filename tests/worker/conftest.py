from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pesoleve.graph.quantize import SESSION_CONFIG
from pesoleve.measure.embed import embed
from pesoleve_worker.catalog import Canary, Model, Pipeline
from tests.sample_entry import sample_model
from tests.tiny_bert import HIDDEN, POSITIONS
from tests.worker.app_client import Client

CANARY = ["a cat is playing under the street light", "weigh a bag"]  # sorted, they change places


@pytest.fixture(scope="session")
def canary_model(
    encoder_graph: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    """An entry whose canary is the tiny graph's own answer."""
    pipeline = Pipeline(POSITIONS, "sentence_embedding", HIDDEN)
    tokenizer = tiny_model / "tokenizer.json"
    golden = embed(CANARY, encoder_graph, SESSION_CONFIG, tokenizer, pipeline)
    entry = sample_model(tmp_path_factory.mktemp("packed"))
    return replace(entry, pipeline=pipeline, canary=Canary(CANARY, {"fp32": golden.tolist()}, 1e-3))


@pytest.fixture
def client(encoder_graph: Path, tiny_model: Path, canary_model: Model) -> Client:
    return Client(encoder_graph, tiny_model / "tokenizer.json", canary_model)
