from __future__ import annotations

from collections.abc import Sequence

import pytest

from pesoleve_worker.generation.sampler import Chosen
from pesoleve_worker.generation.settings import parse_settings
from pesoleve_worker.generation.transcript import Transcript

EOS = 256
THUMB = "👍".encode()


class Bytes:
    """Every id is a byte, but the end of sequence."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        return [*text.encode()] + [EOS] * special

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(token for token in ids if token != EOS).decode(errors="replace")


class Told(list[tuple[str, list[int]]]):
    """The calls of a transcript fed ``ids``."""

    def __init__(self, ids: Sequence[int], **settings: object) -> None:
        self.transcript = Transcript(
            Bytes(), parse_settings(settings), [EOS], lambda text, ids, _: self.append((text, ids))
        )
        for token in ids:
            assert self.transcript.finish_reason is None
            self.transcript.add(Chosen(token, -0.5))


def test_a_character_is_told_once_with_all_its_tokens() -> None:
    told = Told([*b"a", *THUMB, *b"b"])
    assert told == [("a", [*b"a"]), ("👍", [*THUMB]), ("b", [*b"b"])]
    assert told.transcript.finish_reason is None


@pytest.mark.parametrize(("most", "last"), [(3, 0), (4, EOS)])
def test_a_character_cut_off_at_the_end_is_told_as_replaced(most: int, last: int) -> None:
    ids = [*b"a", *THUMB[:2]] + [last] * (last > 0)
    told = Told(ids, max_new_tokens=most)
    assert told.transcript.text == "a\ufffd"
    assert told == [("a", [*b"a"]), ("\ufffd", ids[1:])]
    assert told.transcript.finish_reason == ("eos" if last else "length")


def test_a_stop_string_that_only_the_end_completes_still_stops() -> None:
    told = Told([*b"ab", THUMB[0]], stop=["b\ufffd"], max_new_tokens=3)
    assert told.transcript.text == "a"
    assert told.transcript.finish_reason == "stop"


def test_a_last_token_without_text_is_still_told() -> None:
    assert Told([*b"a", EOS]) == [("a", [*b"a"]), ("", [EOS])]


def test_room_is_what_is_left() -> None:
    transcript = Told([*b"abc"], max_new_tokens=5).transcript
    assert transcript.room == 2
    transcript.finish("context")
    assert transcript.finish_reason == "context"


def test_log_probabilities_are_kept_only_if_asked_for() -> None:
    assert Told([*b"ab"], log_probabilities=True).transcript.log_probabilities == [-0.5, -0.5]
    assert Told([*b"ab"]).transcript.log_probabilities == []
