"""Round to nearest: no worse than the plain rounding, and what it returns is what it judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pesoleve.blocks import Float
from pesoleve.quantizers.rtn import from_scales, quantize_rtn

from .matrices import weights


def squared_error(a: Float, b: Float) -> float:
    return float(np.square(a - b).sum())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_the_search_is_at_least_as_good_as_the_whole_range(bits: int, symmetric: bool) -> None:
    weight = weights()
    tensor = quantize_rtn(weight, bits, 32, symmetric=symmetric)
    blocks = weight.reshape(len(weight), -1, 32)
    if symmetric:
        plain = from_scales(
            weight, (np.abs(blocks).max(axis=2) / 2 ** (bits - 1)).astype(np.float16), None, bits
        )
    else:
        low, high = blocks.min(axis=2), blocks.max(axis=2)
        scale = ((high - low) / (2**bits - 1)).astype(np.float16)
        plain = from_scales(weight, scale, low.astype(np.float16), bits)
    assert squared_error(weight, tensor.dequantize()) <= squared_error(weight, plain.dequantize())


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_form_is_what_travels(symmetric: bool) -> None:
    tensor = quantize_rtn(weights(), 3, 32, symmetric=symmetric)
    assert tensor.q.dtype == np.uint8 and tensor.q.max() <= 7
    assert tensor.scale.dtype == np.float16 and tensor.scale.shape == (24, 4)
    assert (tensor.minimum is None) == symmetric
    assert (tensor.zero, tensor.bits, tensor.block) == (4 if symmetric else 0, 4, 32)
    assert quantize_rtn(weights(), 5, 32, symmetric=symmetric).bits == 8


@pytest.mark.parametrize("symmetric", [True, False])
def test_more_bits_lose_less(symmetric: bool) -> None:
    weight = weights()
    errors = [
        squared_error(weight, quantize_rtn(weight, bits, 32, symmetric=symmetric).dequantize())
        for bits in range(2, 9)
    ]
    assert errors == sorted(errors, reverse=True)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, (3, 16), elements=st.floats(-8, 8, width=32)),
    st.integers(2, 8),
    st.booleans(),
)
def test_an_error_is_at_most_the_block_s_range(weight: Float, bits: int, symmetric: bool) -> None:
    back = quantize_rtn(weight, bits, 8, symmetric=symmetric).dequantize()
    assert np.isfinite(back).all()
    blocks = weight.reshape(3, 2, 8)
    reach = np.abs(blocks).max(axis=2) if symmetric else np.ptp(blocks, axis=2) + 0.01
    assert (np.abs(back - weight).reshape(3, 2, 8).max(axis=2) <= reach * 1.01 + 1e-6).all()


def test_a_block_of_equal_weights_is_kept() -> None:
    weight = np.full((2, 16), 0.25, np.float32)
    for symmetric in (True, False):
        assert (quantize_rtn(weight, 4, 8, symmetric=symmetric).dequantize() == weight).all()
    assert not quantize_rtn(np.zeros((2, 16), np.float32), 4, 8, symmetric=True).dequantize().any()


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(ValueError, match="9 bits"):
        quantize_rtn(weights(), 9, 32, symmetric=True)
    with pytest.raises(ValueError, match="not a multiple of the block size 48"):
        quantize_rtn(weights(), 4, 48, symmetric=True)
