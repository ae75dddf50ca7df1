"""The lab's encoder computes what transformers' BERT does, and its graph computes what it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import torch
from transformers import BertModel

from pesoleve.graph.encoder import encoder_graph
from pesoleve.graph.halve import halve_weights
from pesoleve.graph.quantize import SESSION_CONFIG, quantize_weights
from pesoleve.graph.surrogate import cut_encoder
from pesoleve.reduce import distillation, parameter_sharing, pruning
from pesoleve.reduce.encoder import Encoder, from_bert, reshaped

IDS = torch.tensor([[2, 40, 50, 60, 70, 3], [2, 45, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def with_head(model: Encoder) -> Encoder:
    torch.manual_seed(1)
    with torch.no_grad():
        model.classifier.weight.normal_()
        model.classifier.bias.normal_()
    model.eval()
    return model


def shared(model: Encoder) -> Encoder:
    return parameter_sharing.share_layers(model, 1)


def pruned(model: Encoder) -> Encoder:
    return pruning.cut(model, pruning.Kept([1], [[0, 2]], [list(range(0, 96, 3))]))


def narrow(model: Encoder) -> Encoder:
    shape = reshaped(
        model.shape, hidden=32, head_size=16, heads=(2,) * 3, intermediate=(128,) * 3, layers=(0, 1, 2)
    )
    return distillation.narrow_student(model, shape, seed=0)


def run(graph: bytes) -> npt.NDArray[np.float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    for key, value in SESSION_CONFIG.items():
        options.add_session_config_entry(key, value)
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()}
    (probabilities,) = session.run(None, feeds)
    return np.asarray(probabilities)


def test_it_is_transformers_bert(encoder: Encoder, tiny_model: Path) -> None:
    reference = BertModel.from_pretrained(str(tiny_model)).eval()
    with torch.no_grad():
        theirs = reference(input_ids=IDS, attention_mask=MASK).last_hidden_state
        ours = encoder(IDS, MASK).hidden[-1]
    assert (theirs - ours).abs()[MASK.bool()].max() < 1e-5


@pytest.mark.parametrize("change", [lambda model: model, shared, pruned, narrow])
def test_the_graph_answers_as_the_model(encoder: Encoder, change: Callable[[Encoder], Encoder]) -> None:
    model = with_head(change(encoder))
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    graph = encoder_graph(model.shape, state)
    with torch.no_grad():
        expected = model(IDS, MASK).logits.softmax(1).numpy()
    assert np.abs(run(graph.SerializeToString()) - expected).max() < 1e-5
    halved = run(halve_weights(graph).SerializeToString())
    assert np.abs(halved - expected).max() < 0.01
    for bits in (8, 4, 3, 2):
        answer = run(halve_weights(quantize_weights(graph, bits, 16)).SerializeToString())
        assert np.isfinite(answer).all()
        assert bits < 8 or np.abs(answer - expected).max() < 0.1
    if len(model.shape.layers) > 1:
        assert cut_encoder(graph, 1) is not None


def test_a_shared_layer_stands_once(encoder: Encoder) -> None:
    model = shared(encoder)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    graph = encoder_graph(model.shape, state).graph
    assert sum(node.op_type == "Attention" for node in graph.node) == 2
    assert sum(tensor.name.endswith("attention.qkv.weight") for tensor in graph.initializer) == 1


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="a BERT with gelu is needed, and this is a roberta"):
        from_bert({}, {"model_type": "roberta", "hidden_act": "gelu"}, ("a", "b"), 8)
