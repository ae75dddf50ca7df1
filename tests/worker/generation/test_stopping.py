from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.generation.stopping import StopStrings

TEXTS = st.text("ab\n", max_size=30)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4)


def pushed(stops: list[str], pieces: list[str]) -> tuple[list[str], StopStrings]:
    search = StopStrings(stops)
    return [search.push(piece) for piece in pieces], search


def test_a_stop_string_across_pieces_is_never_shown() -> None:
    shown, search = pushed(["\nUser:"], ["Hello", "\nUs", "er", ": hi", " again"])
    assert shown == ["Hello", "", "", "", ""]
    assert search.found
    assert search.flush() == ""


def test_what_only_began_like_a_stop_string_is_shown_late() -> None:
    shown, search = pushed(["\nUser:"], ["one\nUs", "ers", " two\n"])
    assert shown == ["one", "\nUsers", " two"]
    assert not search.found
    assert search.flush() == "\n"


@pytest.mark.parametrize(
    ("stops", "text", "before"),
    [
        (["bc", "abcd"], "xabcd", "xa"),  # bc is complete before abcd is
        (["c", "abc"], "xabc", "x"),  # both end together: the longer
        (["aab"], "aaab", "a"),
        (["b"], "b", ""),
    ],
)
def test_which_stop_string_comes_first(stops: list[str], text: str, before: str) -> None:
    (shown,), search = pushed(stops, [text])
    assert shown == before
    assert search.found


@given(TEXTS, STOPS, st.data())
def test_how_the_text_is_cut_does_not_matter(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    pieces = [text[start:end] for start, end in pairwise(bounds)]
    shown, search = pushed(stops, pieces)
    assert "".join(shown) + search.flush() == before_first(text, stops)
    assert search.found == any(stop in text for stop in stops)


@given(TEXTS, STOPS)
def test_nothing_is_held_that_could_not_begin_a_stop_string(text: str, stops: list[str]) -> None:
    _, search = pushed(stops, [*text])
    held = search.flush()
    if held:
        assert any(stop.startswith(held) and stop != held for stop in stops)


def before_first(text: str, stops: list[str]) -> str:
    """Read character by character; at the first end of a stop string, cut where the longest began."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text
