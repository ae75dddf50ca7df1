from __future__ import annotations

import numpy as np
import pytest

from pesoleve.measure.parity import parity

ROWS = np.array([[3, 4], [1, 0], [0, 2]], np.float32)


def test_equal_vectors_are_at_no_distance() -> None:
    result = parity(ROWS, ROWS)
    assert result.cosine_min == pytest.approx(1)
    assert result.cosine_mean == pytest.approx(1)
    assert result.max_difference == 0


def test_cosines_are_of_matching_rows() -> None:
    turned = np.array([[4, 3], [1, 0], [2, 0]], np.float32)  # 24/25, 1 and 0
    result = parity(turned, ROWS)
    assert result.cosine_min == pytest.approx(0, abs=1e-12)
    assert result.cosine_mean == pytest.approx((0.96 + 1 + 0) / 3)
    assert result.max_difference == 2


def test_length_does_not_change_a_cosine_but_is_a_difference() -> None:
    result = parity(10 * ROWS, ROWS)
    assert result.cosine_min == pytest.approx(1)
    assert result.max_difference == 36


def test_an_opposite_vector_is_as_far_as_can_be() -> None:
    assert parity(-ROWS, ROWS).cosine_min == pytest.approx(-1)


def test_a_value_that_is_no_number_is_not_hidden() -> None:
    broken = ROWS.copy()
    broken[1, 1] = np.nan
    result = parity(broken, ROWS)
    assert np.isnan([result.cosine_min, result.cosine_mean, result.max_difference]).all()


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match=r"shapes differ: \(3, 2\) and \(2, 2\)"):
        parity(ROWS, ROWS[:2])
