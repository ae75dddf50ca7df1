"""What the whole suite shares: tiny models, and the encoder exported once by pesoleve itself."""

from __future__ import annotations

import os

# Before anything imports huggingface_hub, which reads it once: the suite never asks the network.
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest
from hypothesis import settings

from pesoleve.graph import export_onnx, optimize, pool, storage
from pesoleve.torch_kernels import resolve_kernels
from tests.tiny_bert import HEADS, HIDDEN, write_tiny_bert
from tests.tiny_gguf import write_gguf
from tests.tiny_llama import write_tiny_gemma, write_tiny_llama

settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
resolve_kernels()  # what transformers answers is what tests expect


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


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama in the Hugging Face layout. Shared: copy it before changing it."""
    directory = tmp_path_factory.mktemp("source") / "tiny-llama"
    write_tiny_llama(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 3 in the Hugging Face layout. Shared: copy it before changing it."""
    directory = tmp_path_factory.mktemp("source") / "tiny-gemma"
    write_tiny_gemma(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_gguf(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Llama in Q4_1 with its table in Q8_0, as small models are published. Shared."""
    path = tmp_path_factory.mktemp("gguf") / "tiny-llama.Q4_1.gguf"
    write_gguf(path, tiny_llama, lambda name: "Q8_0" if name.startswith("token_embd") else "Q4_1")
    return path
