"""What a decoder lost against its source: KL divergence, agreement and perplexity on running text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..torch_kernels import resolve_kernels

Floats = npt.NDArray[np.float32]
Logits = Callable[[list[int]], Floats]
"""Logits float32 (T, vocabulary) after each of T ids that follow nothing."""


@dataclass(frozen=True)
class TextQuality:
    """Means over ``n`` positions; ``kl`` in nats, of the source's distribution from the model's."""

    n: int
    kl: float
    top1_agreement: float
    perplexity: float
    reference_perplexity: float


def windows(ids: list[int], tokens: int, window: int) -> list[list[int]]:
    """Cut the first ``tokens`` ids into windows, each judged without what came before it."""
    judged = ids[:tokens]
    return [judged[start : start + window] for start in range(0, len(judged), window)]


def reference_logits(model_directory: Path) -> Logits:
    """transformers' own logits, fp32 on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    resolve_kernels()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(str(model_directory), dtype=torch.float32).eval()

    def logits(ids: list[int]) -> Floats:
        with torch.inference_mode():
            answer: Floats = model(torch.tensor([ids])).logits[0].numpy()
        return answer

    return logits


def compare(reference: Iterator[Floats], logits: Logits, texts: list[list[int]]) -> TextQuality:
    """Compare a model with its source's logits, window after window.

    mean KL(p‖q) = mean Σ p·(log p - log q); perplexity = exp(-mean log q(next token)).
    """
    kl, agree, own, theirs = [], [], [], []
    for ids, expected in zip(texts, reference, strict=True):
        p, q = _log_softmax(expected), _log_softmax(logits(ids))
        kl.append((np.exp(p) * (p - q)).sum(axis=1))
        agree.append(p.argmax(axis=1) == q.argmax(axis=1))
        places = np.arange(len(ids) - 1)
        following = np.asarray(ids[1:])
        own.append(q[places, following])
        theirs.append(p[places, following])
    return TextQuality(
        n=sum(map(len, texts)),
        kl=float(np.concatenate(kl).mean()),
        top1_agreement=float(np.concatenate(agree).mean()),
        perplexity=float(np.exp(-np.concatenate(own).mean())),
        reference_perplexity=float(np.exp(-np.concatenate(theirs).mean())),
    )


def _log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    normalized: npt.NDArray[np.float64] = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return normalized
