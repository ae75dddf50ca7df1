from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import SessionError
from pesoleve_worker.generation.sampler import choose
from pesoleve_worker.generation.settings import parse_settings
from pesoleve_worker.host import Candidates

PROBABILITIES = {7: 0.5, 3: 0.25, 9: 0.15, 1: 0.1}
CANDIDATES = Candidates([*PROBABILITIES], [math.log(p) + 4 for p in PROBABILITIES.values()], 4.0)


class Draws(random.Random):
    """Draws what it is told to."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


def test_greedy_takes_the_lowest_id_of_equals_and_no_draw() -> None:
    rng = random.Random(1)
    before = rng.getstate()
    tied = Candidates([8, 5, 2], [1.0, 1.0, 0.5], 2.0)
    assert choose(tied, parse_settings({}), set(), rng).token_id == 5
    assert rng.getstate() == before


def test_the_log_probability_is_the_models_own() -> None:
    settings = parse_settings({"temperature": 3, "top_k": 2, "repetition_penalty": 2})
    chosen = choose(CANDIDATES, settings, {7}, random.Random(0))
    expected = math.log(PROBABILITIES[chosen.token_id])
    assert chosen.log_probability == pytest.approx(expected)


@pytest.mark.parametrize(
    ("draw", "token"),
    [(0.0, 7), (0.49, 7), (0.51, 3), (0.74, 3), (0.76, 9), (0.91, 1), (1 - 2**-53, 1), (1.0, 1)],
)
def test_a_draw_lands_where_the_cumulative_distribution_says(draw: float, token: int) -> None:
    settings = parse_settings({"temperature": 1})
    assert choose(CANDIDATES, settings, set(), Draws(draw)).token_id == token


def test_a_draw_on_the_border_belongs_to_what_follows() -> None:
    halves = Candidates([4, 6], [0.0, 0.0], math.log(2))
    assert choose(halves, parse_settings({"temperature": 1}), set(), Draws(0.5)).token_id == 6


def test_a_token_without_mass_is_never_drawn() -> None:
    candidates = Candidates([4, 6], [0.0, -math.inf], 0.0)
    chosen = choose(candidates, parse_settings({"temperature": 1}), set(), Draws(1.0))
    assert chosen.token_id == 4


def test_frequencies_are_the_probabilities() -> None:
    rng = random.Random(0)
    settings = parse_settings({"temperature": 1})
    counts = Counter(choose(CANDIDATES, settings, set(), rng).token_id for _ in range(20_000))
    for token, probability in PROBABILITIES.items():
        # Four standard errors of a proportion in 20,000 draws are below 0.015.
        assert counts[token] / 20_000 == pytest.approx(probability, abs=0.015)


def test_a_seed_gives_these_tokens_in_every_python() -> None:
    # Recorded in CPython 3.11. The page's 3.14 must give the same.
    rng = random.Random(1234)
    settings = parse_settings({"temperature": 0.9, "top_p": 0.95, "min_p": 0.02})
    logits = [math.sin(n * n) * 3 for n in range(200)]
    ids = sorted(range(200), key=lambda token: -logits[token])
    candidates = Candidates(ids, [logits[token] for token in ids], math.log(sum(map(math.exp, logits))))
    drawn = [choose(candidates, settings, set(), rng).token_id for _ in range(12)]
    assert drawn == GOLDEN


GOLDEN = [104, 71, 113, 86, 196, 147, 177, 131, 52, 66, 75, 193]


@given(st.integers(0, 2**53 - 1), st.permutations([*PROBABILITIES]))
def test_the_order_in_which_equals_come_does_not_matter(seed: int, order: list[int]) -> None:
    settings = parse_settings({"temperature": 1})
    level = math.log(0.25)
    found = {
        choose(Candidates(ids, [level] * 4, 0.0), settings, set(), random.Random(seed)).token_id
        for ids in (order, [*PROBABILITIES])
    }
    assert len(found) == 1


@pytest.mark.parametrize("normalizer", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_fail_by_name(normalizer: float) -> None:
    with pytest.raises(SessionError) as caught:
        choose(Candidates([1], [1.0], normalizer), parse_settings({}), set(), random.Random(0))
    assert caught.value.code == "run_failed"


def test_no_candidates_fail_by_name() -> None:
    with pytest.raises(SessionError, match="0 candidates"):
        choose(Candidates([], [], 1.0), parse_settings({}), set(), random.Random(0))
