"""The choice of one token among candidates."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate

from ..errors import SessionError
from ..host import Candidates
from .processors import process
from .settings import GenerationSettings


@dataclass(frozen=True)
class Chosen:
    """``log_probability`` is the model's own, natural, before any processor: logit - log_normalizer."""

    token_id: int
    log_probability: float


def choose(
    candidates: Candidates,
    settings: GenerationSettings,
    seen: AbstractSet[int],
    rng: random.Random,
) -> Chosen:
    """Choose the next token.

    Greedy takes the highest processed logit, of equals the lowest id, and leaves ``rng`` alone.
    Otherwise one draw of ``rng`` picks from the cumulative distribution of the processed candidates,
    so that a seed gives the same tokens in every Python (``random.random`` is kept stable).

    Args:
        seen: what the repetition penalty falls on: the prompt's and the generated ids.

    Raises:
        SessionError: ``run_failed`` when the model's logits are not finite, as those of a failing GPU.
    """
    if not candidates.ids or not math.isfinite(candidates.log_normalizer):
        raise SessionError(
            "run_failed",
            f"the model gave {len(candidates.ids)} candidates, normalizer {candidates.log_normalizer}",
        )
    left = process(candidates, settings, seen)
    token = left.ids[0] if settings.greedy else left.ids[_draw(left, rng)]
    logit = candidates.logits[candidates.ids.index(token)]
    return Chosen(token, logit - candidates.log_normalizer)


def _draw(left: Candidates, rng: random.Random) -> int:
    top = left.logits[0]
    # Plain additions: sum() of floats rounds otherwise from Python 3.12 on.
    reached = list(accumulate(math.exp(logit - top) for logit in left.logits))
    index = bisect_right(reached, rng.random() * reached[-1])
    # The product can round up to the whole mass; then the last that has any mass is meant.
    return min(index, bisect_left(reached, reached[-1]))
