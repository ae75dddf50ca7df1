"""Each processor beside its namesake in transformers, where the candidates are the vocabulary."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pesoleve_worker.generation.processors import (
    min_p,
    process,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
)
from pesoleve_worker.generation.settings import parse_settings
from pesoleve_worker.host import Candidates

# Distinct and not too close, for transformers leaves open which of equals a filter drops.
LOGITS = st.lists(st.integers(-400, 400), min_size=2, max_size=16, unique=True).map(
    lambda numbers: [number / 50 for number in numbers]
)
FRACTIONS = st.floats(0.01, 0.99)
SEEN = st.sets(st.integers(0, 15), max_size=8)


def whole(logits: list[float]) -> Candidates:
    ids = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    normalizer = math.log(math.fsum(map(math.exp, logits)))
    return Candidates(ids, [logits[token] for token in ids], normalizer)


def reference(logits: list[float], *processors: Any, seen: set[int] | None = None) -> dict[int, float]:
    """Return what transformers leaves: log-probabilities by id."""
    import torch

    scores = torch.tensor([logits], dtype=torch.float64)
    ids = torch.tensor([sorted(seen or {0})])
    for processor in processors:
        scores = processor(ids, scores)
    left = torch.log_softmax(scores, -1)[0].tolist()
    return {token: value for token, value in enumerate(left) if value > -math.inf}


def assert_same(left: Candidates, expected: dict[int, float]) -> None:
    assert left.logits == sorted(left.logits, reverse=True)
    found = {
        token: logit - left.log_normalizer for token, logit in zip(left.ids, left.logits, strict=True)
    }
    assert found == pytest.approx(expected, abs=1e-9)


@given(LOGITS, st.floats(1, 10), SEEN)
def test_repetition_penalty(logits: list[float], penalty: float, seen: set[int]) -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    seen = {token for token in seen if token < len(logits)} or {0}
    expected = reference(logits, RepetitionPenaltyLogitsProcessor(penalty), seen=seen)
    assert_same(repetition_penalty(whole(logits), penalty, seen), expected)


@given(LOGITS, st.floats(0.05, 5))
def test_temperature(logits: list[float], value: float) -> None:
    from transformers import TemperatureLogitsWarper

    expected = reference(logits, TemperatureLogitsWarper(value))
    assert_same(temperature(whole(logits), value), expected)


def test_a_temperature_near_zero_leaves_the_likeliest_finite() -> None:
    left = temperature(whole([5.0, 9.0, 8.0]), 1e-320)
    assert left.ids[0] == 1
    assert left.logits[0] - left.log_normalizer == 0


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12), st.integers(1, 15))
def test_top_k_keeps_the_equals_of_the_last(logits: list[float], k: int) -> None:
    from transformers import TopKLogitsWarper

    assert_same(top_k(whole(logits), k), reference(logits, TopKLogitsWarper(k)))


@given(LOGITS, FRACTIONS)
def test_top_p(logits: list[float], p: float) -> None:
    from transformers import TopPLogitsWarper

    assume(clear_of_boundary(whole(logits), p))
    assert_same(top_p(whole(logits), p), reference(logits, TopPLogitsWarper(p)))


def test_top_p_that_is_reached_exactly_is_enough() -> None:
    from transformers import TopPLogitsWarper

    assert len(reference([0.0, 0.0], TopPLogitsWarper(0.5))) == 1
    assert top_p(whole([0.0, 0.0]), 0.5).ids == [0]


@given(LOGITS, FRACTIONS)
def test_min_p(logits: list[float], p: float) -> None:
    from transformers import MinPLogitsWarper

    assume(all(abs(math.exp(logit - max(logits)) - p) > 1e-9 for logit in logits))
    assert_same(min_p(whole(logits), p), reference(logits, MinPLogitsWarper(p)))


@given(LOGITS, st.floats(0.05, 5), st.floats(1, 3), SEEN, st.integers(1, 12), FRACTIONS, FRACTIONS)
def test_all_of_them_in_order(
    logits: list[float], heat: float, penalty: float, seen: set[int], k: int, p: float, least: float
) -> None:
    from transformers import (
        MinPLogitsWarper,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    seen = {token for token in seen if token < len(logits)} or {0}
    heated = temperature(repetition_penalty(whole(logits), penalty, seen), heat)
    assume(len(set(heated.logits)) == len(heated.logits))
    assume(clear_of_boundary(top_k(heated, k), p))
    assume(all(abs(math.exp(x - heated.logits[0]) - least) > 1e-9 for x in heated.logits))
    expected = reference(
        logits,
        RepetitionPenaltyLogitsProcessor(penalty),
        TemperatureLogitsWarper(heat),
        TopKLogitsWarper(k),
        TopPLogitsWarper(p),
        MinPLogitsWarper(least),
        seen=seen,
    )
    settings = parse_settings(
        {
            "temperature": heat,
            "repetition_penalty": penalty,
            "top_k": k,
            "top_p": p,
            "min_p": least,
        }
    )
    assert_same(process(whole(logits), settings, seen), expected)


@given(LOGITS, FRACTIONS)
def test_top_p_counts_the_vocabulary_beyond_the_candidates(logits: list[float], p: float) -> None:
    every = whole(logits)
    assume(clear_of_boundary(every, p))
    few = Candidates(every.ids[:3], every.logits[:3], every.log_normalizer)
    assert top_p(few, p).ids == top_p(every, p).ids[:3]


@given(LOGITS, FRACTIONS)
def test_top_p_after_top_k_takes_exactly_k_candidates_for_all_there_is(
    logits: list[float], p: float
) -> None:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    every = whole(logits)
    few = Candidates(every.ids[:3], every.logits[:3], every.log_normalizer)
    assume(clear_of_boundary(top_k(few, 3), p))
    expected = reference(logits, TopKLogitsWarper(3), TopPLogitsWarper(p))
    assert_same(top_p(top_k(few, 3), p), expected)


def test_greedy_keeps_everything_but_the_penalty() -> None:
    settings = parse_settings({"top_k": 1, "top_p": 0.1, "min_p": 0.9, "repetition_penalty": 4})
    assert process(whole([3.0, 2.0, -1.0]), settings, {0}).ids == [1, 0, 2]


def clear_of_boundary(candidates: Candidates, p: float) -> bool:
    """Whether no sum of probabilities is so near ``p`` that rounding would decide."""
    reached = 0.0
    for logit in candidates.logits:
        reached += math.exp(logit - candidates.log_normalizer)
        if abs(reached - p) < 1e-9:
            return False
    return True
