"""Mixed precision against every combination there is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve.quantizers.mixed import Choice, allocate

Costs = dict[str, dict[str, Choice]]

choices = st.dictionaries(
    st.sampled_from(["q2", "q3", "q4", "q6", "exact"]),
    st.builds(Choice, st.integers(1, 100), st.integers(0, 1000).map(float)),
    min_size=1,
)
costs = st.dictionaries(st.sampled_from("abcd"), choices, min_size=1)


def totals(table: Costs, chosen: dict[str, str]) -> tuple[int, float]:
    picked = [table[name][choice] for name, choice in chosen.items()]
    return sum(choice.bytes for choice in picked), sum(choice.loss for choice in picked)


def combinations(table: Costs) -> list[tuple[int, float]]:
    names = list(table)
    every = itertools.product(*(table[name] for name in names))
    return [totals(table, dict(zip(names, combination, strict=True))) for combination in every]


@given(costs, st.integers(1, 400))
def test_bytes_are_kept_and_nothing_so_small_is_better(table: Costs, budget: int) -> None:
    every = combinations(table)
    if min(size for size, _ in every) > budget:
        with pytest.raises(ValueError, match="over the budget"):
            allocate(table, budget_bytes=budget)
        return
    size, loss = totals(table, allocate(table, budget_bytes=budget))
    assert size <= budget
    worst_step = max(
        a.loss - b.loss for tensor in table.values() for a in tensor.values() for b in tensor.values()
    )
    assert loss <= min(other for bytes_, other in every if bytes_ <= budget) + worst_step


@given(costs, st.integers(0, 3000))
def test_loss_is_kept_and_the_hull_is_reached(table: Costs, budget: int) -> None:
    every = combinations(table)
    if min(loss for _, loss in every) > budget:
        with pytest.raises(ValueError, match="over the budget"):
            allocate(table, budget_loss=budget)
        return
    size, loss = totals(table, allocate(table, budget_loss=budget))
    assert loss <= budget
    smallest = min(bytes_ for bytes_, other in every if other <= budget)
    largest_step = max(
        a.bytes - b.bytes for tensor in table.values() for a in tensor.values() for b in tensor.values()
    )
    assert size <= smallest + largest_step
    # At its own size on the hull, nothing is better.
    assert totals(table, allocate(table, budget_bytes=size))[1] <= loss


def test_bytes_go_where_they_save_most() -> None:
    table = {
        "robust": {"q3": Choice(30, 0.02), "q4": Choice(40, 0.01)},
        "sensitive": {"q3": Choice(30, 0.9), "q4": Choice(40, 0.1)},
    }
    assert allocate(table, budget_bytes=70) == {"robust": "q3", "sensitive": "q4"}
    assert allocate(table, budget_loss=0.12) == {"robust": "q3", "sensitive": "q4"}
    assert allocate(table, budget_loss=0.11) == {"robust": "q4", "sensitive": "q4"}


def test_one_budget_is_needed() -> None:
    with pytest.raises(ValueError, match="one of them"):
        allocate({"a": {"q4": Choice(1, 0.0)}})
    with pytest.raises(ValueError, match="no quantization"):
        allocate({"a": {}}, budget_bytes=1)
