"""Training with the weights rounded as they will travel, so that the few levels of 2 or 3 bits are used
where they count. The gradient passes the rounding as if it were not there (the straight-through
estimator, https://arxiv.org/abs/1308.3432)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .distillation import Lessons, distill
from .encoder import Encoder, build
from .texts import TokenizedTexts
from .training import Report, Schedule

SHRINKS = (1.0, 0.85, 0.7)


class Rounded(nn.Module):
    """A matrix in symmetric levels, as ``graph/quantize.py`` has them: a scale every ``block`` weights
    along the axis that is summed over, its largest magnitude at the lowest level."""

    def __init__(self, bits: int, block: int) -> None:
        super().__init__()
        self.lowest, self.block = -(2 ** (bits - 1)), block

    def forward(self, weight: Tensor) -> Tensor:
        blocks = weight.detach().reshape(-1, self.block)
        peak = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
        best = torch.zeros_like(blocks)
        least = torch.full((len(blocks), 1), torch.inf)
        for shrink in SHRINKS:
            scale = (peak / self.lowest * shrink).half().float()
            safe = torch.where(scale == 0, 1.0, scale)
            rounded = (blocks / safe).round().clamp(self.lowest, -self.lowest - 1) * scale
            error = (rounded - blocks).square().sum(1, keepdim=True)
            best = torch.where(error < least, rounded, best)
            least = torch.minimum(least, error)
        return weight + (best.view_as(weight) - weight.detach())


def quantize_aware(
    model: Encoder,
    texts: TokenizedTexts,
    lessons: Lessons,
    bits: int,
    block: int,
    schedule: Schedule,
    checkpoint: Path,
    report: Report,
) -> Encoder:
    """Return ``model`` taught to answer as its teacher does when every matrix is in ``bits``; its
    weights are those from which ``round_weights`` makes the levels."""
    rounded = matrices(model).values()
    for module in rounded:
        parametrize.register_parametrization(module, "weight", Rounded(bits, block))
    distill(model, texts, lessons, schedule, checkpoint, report)
    for module in rounded:
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    return build(model.shape, model.state_dict())


def round_weights(model: Encoder, bits: int, block: int) -> Encoder:
    """Return ``model`` with every matrix on the levels that it travels in."""
    rounded = build(model.shape, model.state_dict())
    with torch.no_grad():
        for module in matrices(rounded).values():
            module.weight.copy_(Rounded(bits, block)(module.weight))
    return rounded


def matrices(model: Encoder) -> dict[str, nn.Module]:
    """Return the modules of ``model`` whose weights travel in few bits, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding)
        and "classifier" not in name
        and "position" not in name
    }
