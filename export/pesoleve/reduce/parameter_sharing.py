"""One layer used several times, as in ALBERT (https://arxiv.org/abs/1909.11942): it begins as the mean
of the layers that it stands for, and is recovered by distillation. Smaller to download; not faster."""

from __future__ import annotations

import torch

from .encoder import Encoder, State, build, reshaped


def share_layers(model: Encoder, groups: int) -> Encoder:
    """Return ``model`` with as many layers, of which neighbours share weights in ``groups`` groups.

    Raises:
        ValueError: when layers of one group differ in width.
    """
    shape = model.shape
    count = len(shape.layers)
    group_of = [index * groups // count for index in range(count)]
    state: State = {}
    gathered: dict[str, list[torch.Tensor]] = {}
    for name, tensor in model.state_dict().items():
        parts = name.split(".")
        if parts[0] != "encoder":
            state[name] = tensor
            continue
        parts[2] = str(group_of[int(parts[2])])
        gathered.setdefault(".".join(parts), []).append(tensor)
    for name, tensors in gathered.items():
        if len({tensor.shape for tensor in tensors}) > 1:
            raise ValueError("layers of different widths cannot share their weights")
        state[name] = torch.stack(tensors).mean(0)
    firsts = [group_of.index(group) for group in range(groups)]
    changed = reshaped(
        shape,
        heads=tuple(shape.heads[first] for first in firsts),
        intermediate=tuple(shape.intermediate[first] for first in firsts),
        layers=tuple(group_of),
    )
    return build(changed, state)
