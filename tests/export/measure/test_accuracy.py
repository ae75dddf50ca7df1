from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pesoleve.measure.accuracy import spearman

SCORES = [0.0, 1.0, 2.5, 4.0, 5.0]
BASE = np.tile(np.array([[1, 0]], np.float32), (5, 1))


def at_angles(*degrees: float) -> npt.NDArray[np.float32]:
    turned = np.radians(degrees)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def test_the_closer_the_better_is_one() -> None:
    assert spearman(BASE, at_angles(90, 70, 50, 30, 0), SCORES) == pytest.approx(1)


def test_the_closer_the_worse_is_minus_one() -> None:
    assert spearman(BASE, at_angles(0, 30, 50, 70, 90), SCORES) == pytest.approx(-1)


def test_only_the_order_counts_and_not_the_length() -> None:
    vectors = at_angles(90, 89, 88, 2, 1) * np.array([[1], [9], [2], [5], [3]], np.float32)
    assert spearman(BASE, vectors, SCORES) == pytest.approx(1)


def test_one_swap_of_neighbours_costs_what_the_formula_says() -> None:
    # 1 - 6 Σd² / n(n² - 1), two ranks each off by one.
    expected = 1 - 6 * 2 / (5 * 24)
    assert spearman(BASE, at_angles(90, 50, 70, 30, 0), SCORES) == pytest.approx(expected)
