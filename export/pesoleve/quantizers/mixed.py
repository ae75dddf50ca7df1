"""Mixed precision: one quantization a tensor, for the least loss in so many bytes or the reverse.

Losses and bytes are taken to add up over tensors, so a price for a byte decides for each tensor on
its own (Everett 1963, https://doi.org/10.1287/opre.11.3.399; Shoham and Gersho 1988,
https://doi.org/10.1109/29.90373). Starting from the smallest, the steps along each tensor's lower
convex hull are taken in order of what they save for a byte. At each step the result is the best there
is of its size; between two steps, it is at most one step's loss from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What a tensor costs under one quantization: ``bytes`` to send, and ``loss`` of quality."""

    bytes: int
    loss: float


Costs = Mapping[str, Mapping[str, Choice]]


def allocate(
    costs: Costs, *, budget_bytes: int | None = None, budget_loss: float | None = None
) -> dict[str, str]:
    """Choose a quantization for each tensor.

    Args:
        costs: tensor ─► quantization ─► what it costs.
        budget_bytes: the least loss is sought in this many bytes.
        budget_loss: the fewest bytes are sought with at most this loss.

    Raises:
        ValueError: when not exactly one budget is given, a tensor has no choice, or no choice of
            quantizations is within the budget.
    """
    if (budget_bytes is None) == (budget_loss is None):
        raise ValueError("give budget_bytes or budget_loss, one of them")
    hulls = {name: _hull(name, choices) for name, choices in costs.items()}
    chosen = {name: hull[0] for name, hull in hulls.items()}
    size = sum(costs[name][choice].bytes for name, choice in chosen.items())
    loss = sum(costs[name][choice].loss for name, choice in chosen.items())
    if budget_bytes is not None and size > budget_bytes:
        raise ValueError(f"the smallest choice takes {size} bytes, over the budget of {budget_bytes}")
    full: set[str] = set()
    for name, choice in _steps(costs, hulls):
        if budget_loss is not None and loss <= budget_loss:
            break
        now, then = costs[name][chosen[name]], costs[name][choice]
        larger = size + then.bytes - now.bytes
        if name in full or (budget_bytes is not None and larger > budget_bytes):
            full.add(name)  # a later step of this tensor is larger still; another's may fit
            continue
        chosen[name], size, loss = choice, larger, loss + then.loss - now.loss
    if budget_loss is not None:
        # Judged by a fresh sum: the running one has rounding errors of its own.
        least = sum(costs[name][choice].loss for name, choice in chosen.items())
        if least > budget_loss * (1 + 1e-9) + 1e-15:
            raise ValueError(f"the best choice loses {least:g}, over the budget of {budget_loss:g}")
    return chosen


def _steps(costs: Costs, hulls: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """The steps along all hulls, by loss saved for a byte; a hull's own are in order already."""
    steps = []
    for name, hull in hulls.items():
        for place, (before, after) in enumerate(itertools.pairwise(hull)):
            steps.append((-_slope(costs[name][before], costs[name][after]), name, place, after))
    return [(name, after) for _, name, _, after in sorted(steps)]


def _slope(small: Choice, large: Choice) -> float:
    """Loss saved for a byte."""
    return (small.loss - large.loss) / (large.bytes - small.bytes)


def _hull(name: str, choices: Mapping[str, Choice]) -> list[str]:
    """Choices on the lower convex hull of loss over bytes, smallest first."""
    if not choices:
        raise ValueError(f"tensor {name!r} has no quantization to choose from")
    hull: list[str] = []
    for choice in sorted(choices, key=lambda key: (choices[key].bytes, choices[key].loss)):
        if hull and choices[choice].loss >= choices[hull[-1]].loss:
            continue
        while len(hull) > 1 and _slope(choices[hull[-2]], choices[hull[-1]]) <= _slope(
            choices[hull[-1]], choices[choice]
        ):
            hull.pop()
        hull.append(choice)
    return hull
