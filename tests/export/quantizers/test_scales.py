"""Rounded scales: near, fewer, and made good by the levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve.quantizers.rtn import quantize_rtn
from pesoleve.quantizers.scales import round_mantissa, round_scales

from .matrices import weights


@given(st.floats(2.0**-10, 1000, width=32), st.integers(0, 10))
def test_a_rounded_value_is_near(value: float, bits: int) -> None:
    rounded = float(round_mantissa(np.array([value, -value]), bits)[0])
    assert abs(rounded - value) <= value * 2.0 ** -(bits + 1)
    assert np.float32(np.float16(rounded)) == np.float32(rounded)


@pytest.mark.parametrize("symmetric", [True, False])
def test_low_mantissa_bits_are_zero(symmetric: bool) -> None:
    rounded = round_scales(quantize_rtn(weights(), 4, 32, symmetric=symmetric), 3)
    planes = [rounded.scale] if rounded.minimum is None else [rounded.scale, rounded.minimum]
    for plane in planes:
        assert plane.dtype == np.float16
        assert not (np.ascontiguousarray(plane).view(np.uint16) & 0x7F).any()


@pytest.mark.parametrize("symmetric", [True, False])
def test_levels_chosen_again_lose_less(symmetric: bool) -> None:
    weight = weights()
    tensor = quantize_rtn(weight, 4, 32, symmetric=symmetric)
    kept, again = round_scales(tensor, 2), round_scales(tensor, 2, weight=weight, top=15)

    def error(back: np.ndarray) -> float:
        return float(np.square(back - weight).sum())

    assert error(again.dequantize()) < error(kept.dequantize())
    assert again.q.max() <= 15 and again.zero == tensor.zero


def test_mantissas_have_from_0_to_10_bits() -> None:
    with pytest.raises(ValueError, match="11 mantissa bits"):
        round_mantissa(np.ones(1), 11)
