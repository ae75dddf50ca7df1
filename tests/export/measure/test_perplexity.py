from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve.measure.perplexity import Floats, TextQuality, compare, windows

VOCABULARY = 7


def random_logits(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 3, (count, VOCABULARY)).astype(np.float32)


def judged(reference: list[Floats], own: list[Floats], texts: list[list[int]]) -> TextQuality:
    answers = iter(own)
    return compare(iter(reference), lambda _ids: next(answers), texts)


def log_of(*probabilities: float) -> Floats:
    return np.log(np.array([probabilities], np.float32))


@given(st.integers(0, 1000), st.floats(-50, 50, width=32))
def test_a_model_is_no_distance_from_itself_whatever_is_added_to_its_logits(
    seed: int, added: float
) -> None:
    ids = [1, 2, 3, 0]
    reference = random_logits(4, seed)
    quality = judged([reference], [reference + np.float32(added)], [ids])
    assert quality.kl == pytest.approx(0, abs=1e-9)
    assert quality.perplexity == pytest.approx(quality.reference_perplexity, rel=1e-5)


def test_the_same_logits_are_exactly_alike() -> None:
    quality = judged([random_logits(4)], [random_logits(4)], [[1, 2, 3, 4]])
    assert (quality.n, quality.kl, quality.top1_agreement) == (4, 0.0, 1.0)
    assert quality.perplexity == quality.reference_perplexity


def test_kl_is_of_the_reference_from_the_model() -> None:
    reference, own = log_of(0.5, 0.25, 0.25), log_of(0.25, 0.5, 0.25)
    two = [np.repeat(logits, 2, axis=0) for logits in (reference, own)]
    quality = judged([two[0]], [two[1]], [[0, 1]])
    assert quality.kl == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2), abs=1e-6)
    assert quality.top1_agreement == 0.0
    assert quality.perplexity == pytest.approx(2, rel=1e-5)  # 1 came, which has a half
    assert quality.reference_perplexity == pytest.approx(4, rel=1e-5)


def test_kl_is_not_symmetric() -> None:
    one, other = log_of(0.9, 0.05, 0.05), log_of(0.4, 0.3, 0.3)
    two = [np.repeat(logits, 2, axis=0) for logits in (one, other)]
    forward, backward = (judged([two[i]], [two[1 - i]], [[0, 1]]).kl for i in (0, 1))
    assert forward == pytest.approx(0.9 * math.log(9 / 4) + 0.1 * math.log(1 / 6), abs=1e-6)
    assert backward == pytest.approx(0.4 * math.log(4 / 9) + 0.6 * math.log(6), abs=1e-6)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    ids = [3, 1, 4, 1, 5]
    quality = judged([random_logits(5)], [np.zeros((5, VOCABULARY), np.float32)], [ids])
    assert quality.perplexity == pytest.approx(VOCABULARY)


def test_a_model_that_knows_what_comes_is_not_perplexed() -> None:
    ids = [3, 1, 4]
    own = np.full((3, VOCABULARY), -100, np.float32)
    own[[0, 1, 2], [1, 4, 0]] = 0
    assert judged([random_logits(3)], [own], [ids]).perplexity == pytest.approx(1)


def test_every_window_counts_by_its_positions() -> None:
    texts = [[0, 1, 2, 3], [4, 5]]
    reference = [random_logits(4, 1), random_logits(2, 2)]
    flat = [reference[0], np.zeros((2, VOCABULARY), np.float32)]
    alone = judged([reference[1]], [flat[1]], [texts[1]])
    quality = judged(reference, flat, texts)
    assert quality.n == 6
    assert quality.kl == pytest.approx(alone.kl / 3)


def test_a_window_begins_with_what_no_other_predicted() -> None:
    """Of two windows' 5 tokens, 3 follow another."""
    zeros = [np.zeros((3, VOCABULARY), np.float32), np.zeros((2, VOCABULARY), np.float32)]
    zeros[0][2] = -1e4  # what follows a window's end is asked of nobody
    zeros[0][2, 0] = 0
    assert judged(zeros, zeros, [[0, 1, 2], [3, 4]]).perplexity == pytest.approx(VOCABULARY)


def test_large_logits_do_not_overflow() -> None:
    large = random_logits(3) * np.float32(200)  # whose exponentials float64 lacks
    large[[0, 1], [1, 2]] = 5000
    quality = judged([large], [large], [[0, 1, 2]])
    assert quality.kl == 0.0
    assert quality.top1_agreement == 1.0


def test_windows_cover_the_first_tokens_once() -> None:
    assert windows(list(range(10)), 8, 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]


@given(st.integers(16, 400), st.integers(16, 64), st.integers(0, 600))
def test_windows_are_never_longer_than_asked_nor_more_tokens(
    tokens: int, window: int, there: int
) -> None:
    cut = windows(list(range(there)), tokens, window)
    assert [token for part in cut for token in part] == list(range(min(tokens, there)))
    assert all(1 <= len(part) <= window for part in cut)
