"""How often a classifier is right, and how far that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .snippets import load_labelled

if TYPE_CHECKING:
    from ..reduce.steps import Candidate

RESAMPLES = 2000
BATCH = 64


def accuracy(probabilities: npt.NDArray[np.float32], targets: list[int]) -> float:
    """Return the share of rows whose largest probability is at the target."""
    return float((probabilities.argmax(1) == np.asarray(targets)).mean())


def interval(probabilities: npt.NDArray[np.float32], targets: list[int]) -> tuple[float, float]:
    """Return the bounds that hold the accuracy of 95 % of bootstrap resamples of the examples (Efron
    1979), drawn with a fixed seed."""
    right = probabilities.argmax(1) == np.asarray(targets)
    chosen = np.random.default_rng(0).integers(0, len(right), (RESAMPLES, len(right)))
    low, high = np.quantile(right[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def accuracy_of(candidate: Candidate, dataset: str) -> float:
    """Return the accuracy of a model in PyTorch on a data set of ``snippets.load_labelled``."""
    import torch

    data = load_labelled(dataset)
    texts = candidate.tokenized(data.texts)
    order = sorted(range(len(texts.ids)), key=lambda index: texts.lengths[index])
    logits = torch.empty(len(order), len(data.labels))
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            logits[chosen] = candidate.model(*texts.batch(chosen)).logits
    return accuracy(logits.numpy(), data.targets)
