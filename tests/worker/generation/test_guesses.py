from __future__ import annotations

import struct

import pytest

from pesoleve_worker.errors import CatalogError
from pesoleve_worker.generation.guesses import MOST_GUESSES, Guesses
from pesoleve_worker.generation.ngrams import ANY, Ngrams

HABITS = Ngrams([((1, 2), 3), ((2, 3), 4), ((ANY, 2), 9), ((ANY, 4), 5), ((ANY, 5), 6)])


def test_two_tokens_decide_and_else_the_last_one() -> None:
    assert HABITS.follow([1, 2], 1) == [3]
    assert HABITS.follow([7, 2], 1) == [9]
    assert HABITS.follow([2], 1) == [9]
    assert HABITS.follow([8, 1, 2], 1) == [3], "what came before those two does not count"
    assert HABITS.follow([1, 7], 3) == []
    assert HABITS.follow([], 3) == []


def test_guesses_go_on_from_guesses() -> None:
    assert HABITS.follow([1, 2], 9) == [3, 4, 5, 6]
    assert HABITS.follow([1, 2], 2) == [3, 4]
    assert HABITS.follow([1, 2], 0) == []


def test_columns_are_read_as_they_are_written() -> None:
    rows = [(1, 2, 70_000), (ANY, 3, 4)]
    content = b"".join(struct.pack("<2I", *column) for column in zip(*rows, strict=True))
    read = Ngrams.parse(content, 70_001)
    assert read.follow([1, 2], 1) == [70_000]
    assert read.follow([9, 3], 1) == [4]
    assert Ngrams.parse(b"", 1).follow([1, 2], 1) == []


@pytest.mark.parametrize("size", [1, 4, 8, 23])
def test_what_are_no_columns_is_refused(size: int) -> None:
    with pytest.raises(CatalogError, match=f"n-grams are {size} bytes") as caught:
        Ngrams.parse(bytes(size), 9)
    assert caught.value.code == "catalog_invalid"


def test_a_token_that_is_not_in_the_vocabulary_is_refused() -> None:
    content = struct.pack("<3I", 1, 2, 9)
    with pytest.raises(CatalogError, match="token 9, and the vocabulary has 9") as caught:
        Ngrams.parse(content, 9)
    assert caught.value.code == "catalog_invalid"
    assert Ngrams.parse(content, 10).follow([1, 2], 1) == [9]


def test_what_was_said_comes_before_habits() -> None:
    assert Guesses([1, 2, 50, 51, 52, 53, 1, 2], HABITS).propose(9) == [50]
    assert Guesses([7, 1, 2], HABITS).propose(9) == [3]
    assert Guesses([7, 1, 2], HABITS).propose(0) == []


def test_more_is_guessed_of_a_text_after_all_was_right_and_less_after_an_error() -> None:
    text = list(range(100, 160))
    guesses = Guesses([*text, *text[:2]], Ngrams())
    at = 2

    def step(right: int) -> int:
        nonlocal at
        proposed = guesses.propose(99)
        assert proposed == text[at : at + len(proposed)]
        guesses.judge(right if right >= 0 else len(proposed))
        for token in text[at : at + len(proposed)]:
            guesses.append(token)
        at += len(proposed)
        return len(proposed)

    assert [step(-1) for _ in range(5)] == [1, 2, 4, MOST_GUESSES, MOST_GUESSES]
    assert step(2) == MOST_GUESSES
    assert [step(-1), step(-1)] == [1, 2]
