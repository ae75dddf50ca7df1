"""Whole heads, channels and layers taken out by what the task loses without them, so that what is left
is smaller to multiply, not only to send; and single weights set to zero, which is smaller to send
alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..measure.snippets import Labelled
from .distillation import shallow_student
from .encoder import Encoder, Layer, State, build, reshaped
from .texts import TokenizedTexts
from .training import Report, batches

BATCH = 64
SAMPLE = 1500
"""Texts on which importance is measured."""


@dataclass(frozen=True)
class Kept:
    """Which layers stay, and of each of those which heads and which feed-forward channels."""

    layers: list[int]
    heads: list[list[int]]
    channels: list[list[int]]


def measure_importance(
    model: Encoder,
    texts: TokenizedTexts,
    data: Labelled,
    layers: int,
    heads: int,
    channels: int,
    report: Report,
) -> Kept:
    """Return the ``layers`` whose loss costs the task most, and in each so many heads and channels.

    A layer's importance is what the loss becomes without it, one after another, the least missed going
    first. That of a head or a channel is the first-order Taylor term |Σ w · ∂loss/∂w| over the weights
    by which it reaches the residual stream (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771;
    Michel et al. 2019, https://arxiv.org/abs/1905.10650).
    """
    kept = list(range(len(model.shape.layers)))
    while len(kept) > layers:
        losses = {}
        for layer in kept:
            left = [other for other in kept if other != layer]
            losses[layer] = mean_loss(shallow_student(model, left), texts, data)
            report(f"without layer {layer} of {len(kept)}: loss {losses[layer]:.3f}")
        kept.remove(min(losses, key=lambda layer: losses[layer]))
    shallow = shallow_student(model, kept)
    size = shallow.shape.head_size
    of_heads = [torch.zeros(count) for count in shallow.shape.heads]
    of_channels = [torch.zeros(width) for width in shallow.shape.intermediate]
    targets = torch.tensor(data.targets)
    for chosen in _sample(texts):
        report("measuring heads and channels")
        shallow.zero_grad()
        ids, mask = texts.batch(chosen)
        functional.cross_entropy(shallow(ids, mask).logits, targets[chosen]).backward()
        for index, layer in enumerate(shallow.encoder.layer):
            assert isinstance(layer, Layer)
            of_heads[index] += _taylor(layer.attention.output.dense.weight).view(-1, size).sum(1).abs()
            of_channels[index] += _taylor(layer.output.dense.weight).abs()
    return Kept(
        kept,
        [_largest(values, heads) for values in of_heads],
        [_largest(values, channels) for values in of_channels],
    )


def _taylor(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return (weight.detach() * weight.grad).sum(0)


def _largest(values: Tensor, count: int) -> list[int]:
    chosen: list[int] = values.topk(min(count, len(values))).indices.sort().values.tolist()
    return chosen


def _sample(texts: TokenizedTexts) -> list[list[int]]:
    return list(batches(texts.lengths, BATCH, seed=0))[: -(-SAMPLE // BATCH)]


def mean_loss(model: Encoder, texts: TokenizedTexts, data: Labelled) -> float:
    """Return the cross-entropy of ``model`` on a sample of ``data``."""
    targets = torch.tensor(data.targets)
    losses = []
    with torch.inference_mode():
        for chosen in _sample(texts):
            ids, mask = texts.batch(chosen)
            losses.append(functional.cross_entropy(model(ids, mask).logits, targets[chosen]).item())
    return float(sum(losses) / len(losses))


def cut(model: Encoder, kept: Kept) -> Encoder:
    """Return ``model`` with only what ``kept`` names."""
    shallow = shallow_student(model, kept.layers)
    size = shallow.shape.head_size
    state: State = shallow.state_dict()
    for index, (heads, channels) in enumerate(zip(kept.heads, kept.channels, strict=True)):
        rows = [head * size + at for head in heads for at in range(size)]
        prefix = f"encoder.layer.{index}."
        for name in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                full = f"{prefix}attention.self.{name}.{kind}"
                state[full] = state[full][rows]
        out = f"{prefix}attention.output.dense.weight"
        state[out] = state[out][:, rows]
        for kind in ("weight", "bias"):
            full = f"{prefix}intermediate.dense.{kind}"
            state[full] = state[full][channels]
        down = f"{prefix}output.dense.weight"
        state[down] = state[down][:, channels]
    changed = reshaped(
        shallow.shape,
        heads=tuple(map(len, kept.heads)),
        intermediate=tuple(map(len, kept.channels)),
    )
    return build(changed, state)


def zero_smallest(model: Encoder, share: float) -> Encoder:
    """Return ``model`` with the ``share`` of its matrices' weights that are smallest set to 0, each
    matrix by its own threshold."""
    state: State = {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 2 and "classifier" not in name and "position" not in name:
            threshold = tensor.abs().flatten().kthvalue(max(1, round(share * tensor.numel()))).values
            tensor = torch.where(tensor.abs() <= threshold, 0.0, tensor)
        state[name] = tensor
    return build(model.shape, state)
