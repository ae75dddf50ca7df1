"""An adapter beside a base that stays as it is answers as the same adapter merged into the weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import load_file

from pesoleve.graph import storage
from pesoleve.graph.adapter import add_adapter
from pesoleve.measure.snippets import SENTIMENT
from pesoleve.reduce.encoder import Encoder, State, from_bert
from pesoleve.reduce.lora import Adapter, merge

IDS = torch.tensor([[2, 40, 50, 60, 70, 3], [2, 45, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
RANK = 12


@pytest.fixture
def model(tiny_model: Path) -> Encoder:
    config = json.loads((tiny_model / "config.json").read_text())
    loaded = from_bert(load_file(tiny_model / "model.safetensors"), config, SENTIMENT, 64)
    loaded.eval()
    return loaded


@pytest.fixture
def adapter(model: Encoder) -> State:
    """One that moves every projection that stands alone, and a head."""
    random = torch.Generator().manual_seed(5)
    state: State = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("dense.weight"):
            plain, (rows, columns) = name.removesuffix(".weight"), tensor.shape
            state[f"{plain}.down"] = 0.1 * torch.randn(RANK, columns, generator=random)
            state[f"{plain}.up"] = 0.1 * torch.randn(rows, RANK, generator=random)
    state["classifier.weight"] = torch.randn(2, model.shape.hidden, generator=random)
    state["classifier.bias"] = torch.randn(2, generator=random)
    return state


def test_it_answers_as_if_it_were_merged(
    encoder_graph: Path, model: Encoder, adapter: State, tmp_path: Path
) -> None:
    base = onnx.load(encoder_graph / storage.GRAPH, load_external_data=False)
    weights = (encoder_graph / storage.WEIGHTS).read_bytes()
    arrays = {name: tensor.numpy() for name, tensor in adapter.items()}
    adapted, own = add_adapter(base, len(weights), arrays)
    (tmp_path / storage.GRAPH).write_bytes(adapted.SerializeToString())
    (tmp_path / storage.WEIGHTS).write_bytes(weights + own)
    assert 0 < len(own) < len(weights) / 2
    session = ort.InferenceSession(tmp_path / storage.GRAPH, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()}
    feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
    (probabilities,) = session.run(None, feeds)
    with torch.no_grad():
        expected = merge(model, Adapter.from_state(adapter))(IDS, MASK).logits.softmax(1).numpy()
    assert np.abs(np.asarray(probabilities) - expected).max() < 2e-3  # the adapter travels in fp16


def test_a_projection_that_the_base_has_not_is_named(encoder_graph: Path, adapter: State) -> None:
    base = onnx.load(encoder_graph / storage.GRAPH, load_external_data=False)
    arrays = {name.replace("layer.1", "layer.7"): tensor.numpy() for name, tensor in adapter.items()}
    with pytest.raises(ValueError, match=r"no projection encoder\.layer\.7\.attention\.output\.dense"):
        add_adapter(base, 0, arrays)
