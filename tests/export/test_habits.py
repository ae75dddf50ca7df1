from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve.errors import SourceError
from pesoleve.habits import count_habits, read_kept, to_bytes, write_kept
from pesoleve_worker.generation.ngrams import ANY, Ngrams

TEXTS = st.lists(st.lists(st.integers(0, 4), max_size=30), max_size=4)


@given(TEXTS, st.floats(0.1, 1))
def test_what_is_counted_is_what_mostly_follows_and_often_enough(
    texts: list[list[int]], least_share: float
) -> None:
    rows = count_habits(texts, least_share)
    assert len({row[:2] for row in rows}) == len(rows)
    singles = {second: after for first, second, after in rows if first == ANY}
    for first, second, after in rows:
        followed = Counter(
            text[at]
            for text in texts
            for at in range(1 if first == ANY else 2, len(text))
            if text[at - 1] == second and first in (ANY, text[at - 2])
        )
        assert followed[after] == max(followed.values())
        assert followed[after] >= least_share * (followed.total() + 1)
        if first != ANY:
            assert singles.get(second) != after, "the single token says as much"


def test_what_came_once_is_a_habit_of_a_pair_alone() -> None:
    assert count_habits([[1, 2, 3]], 0.5) == [(1, 2, 3)]
    assert count_habits([[1, 2, 3]], 0.6) == []
    assert count_habits([[1, 2], [1, 2]], 0.5) == [(ANY, 1, 2)]


def test_of_equals_the_lowest_id() -> None:
    assert count_habits([[1, 5], [1, 4], [1, 5], [1, 4]], 0.3) == [(ANY, 1, 4)]


def test_the_page_reads_what_is_written() -> None:
    draw = random.Random(1)
    text = [draw.randrange(30) for _ in range(400)]
    rows = count_habits([text], 0.4)
    assert len(rows) > 50
    read = Ngrams.parse(to_bytes(rows), 30)
    for first, second, after in rows:
        assert read.follow([second] if first == ANY else [first, second], 1) == [after]
    assert to_bytes([]) == b""


def test_repeated_text_is_guessed_whole() -> None:
    text = [3, 1, 4, 1, 5, 9, 2, 6]
    habits = Ngrams.parse(to_bytes(count_habits([text, text], 0.5)), 10)
    assert [*text[:2], *habits.follow(text[:2], 99)] == text


def test_what_is_kept_is_read_again_and_of_nothing_else(tmp_path: Path) -> None:
    content = to_bytes([(1, 2, 3)])
    assert read_kept("tiny", {"seed": 1}, tmp_path) is None
    write_kept("tiny", {"seed": 1}, content, tmp_path)
    assert read_kept("tiny", {"seed": 1}, tmp_path) == content
    with pytest.raises(SourceError, match="pesoleve build tiny --train --keep"):
        read_kept("tiny", {"seed": 2}, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "tiny.ngrams"]


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.ngrams").write_bytes(b"no habits")
    with pytest.raises(SourceError, match=r"tiny.ngrams is damaged"):
        read_kept("tiny", {}, tmp_path)
