from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import InputError
from pesoleve_worker.generation.processors import repetition_penalty
from pesoleve_worker.generation.settings import (
    MOST_CANDIDATES,
    GenerationSettings,
    candidate_count,
    parse_settings,
)
from pesoleve_worker.host import Candidates


def test_nothing_given_is_greedy() -> None:
    assert parse_settings({}) == GenerationSettings()
    assert parse_settings({}).greedy


def test_everything_given_is_kept() -> None:
    given_values = {
        "max_new_tokens": 9,
        "temperature": 1,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "seed": 0,
        "stop": ["\n", "User:"],
        "speculative_decoding": False,
        "log_probabilities": True,
    }
    expected = GenerationSettings(9, 1.0, 40, 0.9, 0.05, 1.1, 0, ("\n", "User:"), False, True)
    assert parse_settings(given_values) == expected
    assert isinstance(parse_settings(given_values).temperature, float)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max_new_tokens", 0, "from 1"),
        ("max_new_tokens", 2.0, "whole number"),
        ("max_new_tokens", True, "whole number"),
        ("max_new_tokens", None, "whole number"),
        ("temperature", -0.1, "from 0 to 100"),
        ("temperature", math.nan, "nan"),
        ("temperature", math.inf, "inf"),
        ("temperature", "0.7", "'0.7'"),
        ("temperature", False, "False"),
        ("top_k", -1, "from 0 to 1024"),
        ("top_k", MOST_CANDIDATES + 1, "from 0 to 1024"),
        ("top_p", 1.01, "from 0 to 1"),
        ("min_p", -1, "from 0 to 1"),
        ("repetition_penalty", 0.9, "from 1 to 10"),
        ("seed", -1, "from 0"),
        ("seed", 1.5, "whole number"),
        ("stop", "User:", "a list of strings"),
        ("stop", [""], "strings of 1 to"),
        ("stop", [3], "strings of 1 to"),
        ("stop", ["x" * 257], "strings of 1 to"),
        ("stop", ["x"] * 65, "at most 64"),
        ("speculative_decoding", 1, "true or false"),
        ("log_probabilities", "yes", "true or false"),
    ],
)
def test_a_wrong_value_is_named_with_its_range(key: str, value: object, said: str) -> None:
    with pytest.raises(InputError, match=key) as caught:
        parse_settings({key: value})
    assert caught.value.code == "input_invalid"
    assert said in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("max_tokens", "max_new_tokens"), ("topP", "top_p"), ("stop_strings", "stop")],
)
def test_an_unknown_key_names_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(InputError, match=f"'{wrong}'.*'{right}'"):
        parse_settings({wrong: 1})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 1),
        ({"repetition_penalty": 1.5}, 1 + 30),
        ({"temperature": 1.0, "top_k": 40}, 40),
        ({"temperature": 1.0, "top_k": 40, "repetition_penalty": 1.5}, 40 + 30),
        ({"temperature": 1.0}, MOST_CANDIDATES),
        ({"temperature": 1.0, "repetition_penalty": 1.5}, MOST_CANDIDATES),
    ],
)
def test_candidates_asked_for(values: dict[str, object], expected: int) -> None:
    assert candidate_count(parse_settings(values), seen=30) == expected


@given(
    logits=st.lists(st.integers(-20, 20).map(lambda n: n / 4), min_size=1, max_size=30),
    seen=st.sets(st.integers(0, 29), max_size=12),
    k=st.integers(1, 6),
    penalty=st.floats(1.01, 10),
)
def test_so_many_candidates_hold_the_first_k_after_the_penalty(
    logits: list[float], seen: set[int], k: int, penalty: float
) -> None:
    ids = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    settings = parse_settings({"temperature": 1, "top_k": k, "repetition_penalty": penalty})
    count = candidate_count(settings, len(seen))
    whole = Candidates(ids, [logits[token] for token in ids], 0.0)
    cut = Candidates(whole.ids[:count], whole.logits[:count], 0.0)
    expected = repetition_penalty(whole, penalty, seen).ids[:k]
    assert repetition_penalty(cut, penalty, seen).ids[:k] == expected
