"""What the whole suite shares: one tiny model, exported once by pesoleve itself."""

from __future__ import annotations

import os

# Before anything imports huggingface_hub, which reads it once: the suite never asks the network.
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest
from hypothesis import settings

from pesoleve.graph import export_onnx, optimize, pool, storage
from tests.tiny_bert import HEADS, HIDDEN, write_tiny_bert

settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in the Hugging Face layout. Shared: copy it before changing it."""
    directory = tmp_path_factory.mktemp("source") / "tiny-bert"
    write_tiny_bert(directory)
    return directory


@pytest.fixture(scope="session")
def exported_graph(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as ONNX: token ids to ``last_hidden_state``."""
    directory = tmp_path_factory.mktemp("exported")
    export_onnx.export_onnx(tiny_model, "feature_extraction", 18, directory)
    return directory


@pytest.fixture(scope="session")
def encoder_graph(exported_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported graph fused, with mean pooling and normalization: what a build ships in fp32."""
    directory = tmp_path_factory.mktemp("encoder")
    fused = optimize.fuse(exported_graph / storage.GRAPH, "bert", HEADS, HIDDEN)
    storage.save(pool.add_pooling(fused, "mean", normalize=True), directory)
    return directory
