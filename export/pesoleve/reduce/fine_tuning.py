"""Every weight trained on the labelled texts: the reference that the others are measured against."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.nn import functional

from ..measure.snippets import Labelled
from .encoder import Encoder
from .texts import TokenizedTexts
from .training import Report, Schedule, fit

DROPOUT = 0.1


def fine_tune(
    model: Encoder,
    texts: TokenizedTexts,
    data: Labelled,
    schedule: Schedule,
    checkpoint: Path,
    report: Report,
) -> None:
    """Train ``model`` in place by cross-entropy; parameters that want no gradient stay."""
    import torch

    targets = torch.tensor(data.targets)

    def loss(indices: list[int], _step: int) -> Tensor:
        ids, mask = texts.batch(indices)
        return functional.cross_entropy(model(ids, mask, DROPOUT).logits, targets[indices])

    fit(model, texts.lengths, loss, schedule, checkpoint, report)
