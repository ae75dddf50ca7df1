from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.generation.prompt_lookup import SHORTEST_NGRAM, PromptLookup


def search(ids: list[int], longest: int, count: int) -> list[int]:
    """The definition, by plain search from the end."""
    for size in range(min(longest, len(ids)), SHORTEST_NGRAM - 1, -1):
        for start in range(len(ids) - size - 1, -1, -1):
            if ids[start : start + size] == ids[-size:]:
                return ids[start + size : start + size + count]
    return []


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(2, 4), st.integers(0, 10))
def test_it_finds_what_a_search_finds(ids: list[int], longest: int, count: int) -> None:
    lookup = PromptLookup(longest_ngram=longest)
    for size, token in enumerate(ids, 1):
        lookup.append(token)
        assert lookup.propose(count) == search(ids[:size], longest, count)
    assert PromptLookup(ids, longest).propose(count) == search(ids, longest, count)


def test_the_most_recent_and_the_longest_ngram_decide() -> None:
    assert PromptLookup([1, 2, 3, 50, 1, 2, 3, 60, 9, 3, 70, 1, 2, 3]).propose(2) == [60, 9]


def test_what_never_came_before_proposes_nothing() -> None:
    assert PromptLookup([1, 2, 3]).propose(8) == []
    assert PromptLookup().propose(8) == []
    assert PromptLookup([3, 4, 3]).propose(8) == [], "one token is too little to go by"


def test_eight_thousand_ids_take_no_search() -> None:
    # All alike but the last: a search would read everything at every step.
    started = time.perf_counter()
    lookup = PromptLookup()
    for token in range(8192):
        lookup.append(token)
        lookup.propose(8)
    # A search a step takes some ten seconds.
    assert time.perf_counter() - started < 1
