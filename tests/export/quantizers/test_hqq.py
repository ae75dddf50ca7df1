"""HQQ: less lp error than the whole range, and less than RTN's when there are outliers."""

from __future__ import annotations

import numpy as np
import pytest

from pesoleve.blocks import Float
from pesoleve.quantizers.hqq import quantize_hqq
from pesoleve.quantizers.rtn import from_scales

from .matrices import weights


def lp_error(a: Float, b: Float) -> float:
    return float((np.abs(a - b) ** 0.7).sum())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [1.0, 0.01])
def test_the_lp_error_is_less_than_with_the_whole_range(bits: int, size: float) -> None:
    weight = weights() * np.float32(size)
    tensor = quantize_hqq(weight, bits, 32)
    blocks = weight.reshape(len(weight), -1, 32)
    low = blocks.min(axis=2)
    plain = from_scales(weight, tensor.scale.astype(np.float16), low.astype(np.float16), bits)
    assert lp_error(weight, tensor.dequantize()) < lp_error(weight, plain.dequantize())
    assert tensor.minimum is not None and tensor.q.max() < 2**bits


def test_equal_weights_are_kept() -> None:
    weight = np.full((2, 32), 0.5, np.float32)
    assert (quantize_hqq(weight, 4, 16).dequantize() == weight).all()
    assert not quantize_hqq(np.zeros((2, 32), np.float32), 4, 16).dequantize().any()


def test_what_is_not_a_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="norm"):
        quantize_hqq(weights(), 4, 32, norm=1.5)
