"""Which dtypes nothing beats, and the picture of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pesoleve.frontier import Point, unbeaten

SOME = st.lists(
    st.builds(Point, st.sampled_from(["a", "b", "c"]), st.integers(1, 9), st.integers(0, 9)),
    min_size=1,
    max_size=8,
)


def test_what_is_larger_and_worse_is_beaten() -> None:
    small, worse, exact = Point("q3", 5, 0.2), Point("q8", 7, 0.3), Point("fp32", 9, 0.0)
    assert unbeaten([small, worse, exact]) == [small, exact]


@given(SOME)
def test_every_beaten_point_is_beaten_by_an_unbeaten_one(found: list[Point]) -> None:
    front = unbeaten(found)
    assert front
    for point in found:
        better = [o for o in front if o.bytes <= point.bytes and o.kl <= point.kl]
        assert better
        assert point in front or any((o.bytes, o.kl) != (point.bytes, point.kl) for o in better)
