"""A BERT whose layers may differ in width, and may be one layer used several times: what the reductions
cut, train and share. With equal layers it computes what transformers' ``BertModel`` does.

Tensors have BERT's names, so that a checkpoint of one is read as it is. Two differ, and nothing is
lost: the one token type that single texts have is added to every position, and what pools is a mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoder_shape import EncoderShape

State = dict[str, Tensor]


class SelfAttention(nn.Module):
    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(hidden, width) for _ in range(3))


class Output(nn.Module):
    """A projection back to the hidden size, added to what went in, and normalized."""

    def __init__(self, width: int, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, epsilon)

    def forward(self, values: Tensor, residual: Tensor) -> Tensor:
        normalized: Tensor = self.LayerNorm(self.dense(values) + residual)
        return normalized


class Attention(nn.Module):
    def __init__(self, shape: EncoderShape, heads: int) -> None:
        super().__init__()
        self.heads, self.head_size = heads, shape.head_size
        width = heads * shape.head_size
        self.self = SelfAttention(shape.hidden, width)
        self.output = Output(width, shape.hidden, shape.epsilon)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        batch, length, _ = hidden.shape

        def split(values: Tensor) -> Tensor:
            return values.view(batch, length, self.heads, self.head_size).transpose(1, 2)

        own = self.self
        query, key, value = split(own.query(hidden)), split(own.key(hidden)), split(own.value(hidden))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        answer: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, -1), hidden)
        return answer


class Intermediate(nn.Module):
    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, width)


class Layer(nn.Module):
    def __init__(self, shape: EncoderShape, index: int) -> None:
        super().__init__()
        self.attention = Attention(shape, shape.heads[index])
        self.intermediate = Intermediate(shape.hidden, shape.intermediate[index])
        self.output = Output(shape.intermediate[index], shape.hidden, shape.epsilon)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        hidden = self.attention(hidden, bias)
        answer: Tensor = self.output(functional.gelu(self.intermediate.dense(hidden)), hidden)
        return answer


class Embeddings(nn.Module):
    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocabulary, shape.hidden)
        self.position_embeddings = nn.Embedding(shape.positions, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, shape.epsilon)

    def forward(self, ids: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: ids.shape[1]]
        normalized: Tensor = self.LayerNorm(self.word_embeddings(ids) + positions)
        return normalized


class Layers(nn.Module):
    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(shape, index) for index in range(max(shape.layers) + 1))


@dataclass(frozen=True)
class Encoded:
    """``logits`` (batch, labels), ``pooled`` (batch, hidden), and ``hidden`` (batch, length, hidden)
    after the embeddings and after each layer."""

    logits: Tensor
    pooled: Tensor
    hidden: list[Tensor]


class Encoder(nn.Module):
    """Token ids and their mask, both (batch, length), to ``Encoded``."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = Embeddings(shape)
        self.encoder = Layers(shape)
        self.classifier = nn.Linear(shape.hidden, len(shape.labels))

    def forward(self, ids: Tensor, mask: Tensor, dropout: float = 0.0) -> Encoded:
        weights = mask.to(torch.float32)
        bias = (weights - 1)[:, None, None, :] * 1e9
        hidden = [self.embeddings(ids)]
        for index in self.shape.layers:
            hidden.append(self.encoder.layer[index](hidden[-1], bias))
        column = weights.unsqueeze(-1)
        pooled = (hidden[-1] * column).sum(1) / column.sum(1)
        logits = self.classifier(functional.dropout(pooled, dropout, self.training))
        return Encoded(logits, pooled, hidden)


def from_bert(
    state: State, config: Mapping[str, Any], labels: tuple[str, ...], positions: int
) -> Encoder:
    """Return the encoder that a ``BertModel``'s tensors make, with a head of zeros for ``labels``.

    Raises:
        ValueError: when the model is of another kind than BERT with GELU.
    """
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise ValueError(f"a BERT with gelu is needed, and this is a {config.get('model_type')}")
    count, heads = config["num_hidden_layers"], config["num_attention_heads"]
    shape = EncoderShape(
        vocabulary=config["vocab_size"],
        hidden=config["hidden_size"],
        positions=min(positions, config["max_position_embeddings"]),
        head_size=config["hidden_size"] // heads,
        heads=(heads,) * count,
        intermediate=(config["intermediate_size"],) * count,
        layers=tuple(range(count)),
        labels=labels,
        epsilon=config["layer_norm_eps"],
    )
    table = state["embeddings.position_embeddings.weight"][: shape.positions]
    kind = state["embeddings.token_type_embeddings.weight"][:1]
    wanted = {name: state[name] for name in Encoder(shape).state_dict() if name in state}
    wanted["embeddings.position_embeddings.weight"] = table + kind
    wanted["classifier.weight"] = torch.zeros(len(labels), shape.hidden)
    wanted["classifier.bias"] = torch.zeros(len(labels))
    return build(shape, wanted)


def build(shape: EncoderShape, state: Mapping[str, Tensor]) -> Encoder:
    """Return the encoder of ``shape`` that holds ``state``."""
    model = Encoder(shape)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model


def shortened(model: Encoder, positions: int) -> Encoder:
    """Return ``model`` for texts of at most ``positions`` tokens."""
    if positions >= model.shape.positions:
        return model
    state = model.state_dict()
    name = "embeddings.position_embeddings.weight"
    state[name] = state[name][:positions]
    return build(reshaped(model.shape, positions=positions), state)


def reshaped(shape: EncoderShape, **changes: Any) -> EncoderShape:
    """Return ``shape`` with some of its fields changed."""
    return replace(shape, **changes)
