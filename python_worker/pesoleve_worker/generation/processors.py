"""Logits processors over candidate lists, with the formulae and in the order of transformers.

Each takes candidates and returns candidates, likeliest first and equals by the lowest id, whose
``log_normalizer`` is that of the distribution then meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import accumulate

from ..host import Candidates
from .settings import GenerationSettings


def process(candidates: Candidates, settings: GenerationSettings, seen: AbstractSet[int]) -> Candidates:
    """Apply what ``settings`` ask, as transformers' ``_get_logits_processor`` orders it.

    A greedy choice is not changed by temperature and the filters, which are then left out.
    """
    left = repetition_penalty(candidates, settings.repetition_penalty, seen)
    if settings.greedy:
        return left
    left = temperature(left, settings.temperature)
    left = top_k(left, settings.top_k)
    left = top_p(left, settings.top_p)
    return min_p(left, settings.min_p)


def repetition_penalty(candidates: Candidates, penalty: float, seen: AbstractSet[int]) -> Candidates:
    """Divide the positive and multiply the negative logits of ``seen`` tokens by ``penalty`` >= 1.

    From CTRL (Keskar et al. 2019, https://arxiv.org/abs/1909.05858). The penalties of the tokens that
    are no candidates are not known, so the result is normalized over the candidates alone.
    """
    if penalty == 1:
        return _ordered(zip(candidates.ids, candidates.logits, strict=True), candidates.log_normalizer)
    return _ordered(
        (token, (logit * penalty if logit < 0 else logit / penalty) if token in seen else logit)
        for token, logit in zip(candidates.ids, candidates.logits, strict=True)
    )


def temperature(candidates: Candidates, value: float) -> Candidates:
    """Divide the logits by ``value`` > 0, up to a shift that no probability depends on.

    Σ exp(logit / value) over the vocabulary does not follow from Σ exp(logit): for a value other than
    1 the result is normalized over the candidates alone.
    """
    if value == 1:
        return candidates
    # Shifted so that the likeliest has 0: a value near 0 would make several logits infinite.
    top = candidates.logits[0]
    return _ordered(
        (token, (logit - top) / value)
        for token, logit in zip(candidates.ids, candidates.logits, strict=True)
    )


def top_k(candidates: Candidates, k: int) -> Candidates:
    """Keep the ``k`` likeliest, and those that equal the last of them. 0 keeps all."""
    if k == 0:
        return candidates
    last = candidates.logits[min(k, len(candidates.logits)) - 1]
    return _first(candidates, sum(logit >= last for logit in candidates.logits))


def top_p(candidates: Candidates, p: float) -> Candidates:
    """Keep the fewest likeliest whose probabilities add up to ``p``, at least one.

    From Holtzman et al. 2019, https://arxiv.org/abs/1904.09751. Probabilities are of the whole
    vocabulary when nothing changed the logits; after a penalty or a temperature other than 1, of the
    candidates; after ``top_k``, of what that kept, which is what transformers does too.
    """
    if p == 1:
        return candidates
    masses = accumulate(math.exp(logit - candidates.log_normalizer) for logit in candidates.logits)
    # The first whose predecessors already have p is the first that goes.
    enough = sum(mass < p for mass in masses) + 1
    return _first(candidates, enough)


def min_p(candidates: Candidates, p: float) -> Candidates:
    """Keep those at least ``p`` times as likely as the likeliest. 0 keeps all.

    From Nguyen et al. 2024, https://arxiv.org/abs/2407.01082. A ratio of probabilities needs no
    normalizer: this is exact at every temperature.
    """
    if p == 0:
        return candidates
    least = candidates.logits[0] + math.log(p)
    return _first(candidates, sum(logit >= least for logit in candidates.logits))


def _ordered(pairs: Iterable[tuple[int, float]], log_normalizer: float | None = None) -> Candidates:
    ordered = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    ids = [token for token, _ in ordered]
    logits = [logit for _, logit in ordered]
    return Candidates(ids, logits, _log_sum_exp(logits) if log_normalizer is None else log_normalizer)


def _first(candidates: Candidates, count: int) -> Candidates:
    # Also when all are kept: the vocabulary beyond the candidates is now left out.
    logits = candidates.logits[:count]
    return Candidates(candidates.ids[:count], logits, _log_sum_exp(logits))


def _log_sum_exp(logits: list[float]) -> float:
    # math.fsum, for sum() of floats rounds otherwise from Python 3.12 on, and seeds must reproduce.
    top = logits[0]
    return top + math.log(math.fsum(math.exp(logit - top) for logit in logits))
