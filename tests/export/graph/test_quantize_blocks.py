from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pesoleve.graph.quantize import Blocks, quantize_blocks

Float = npt.NDArray[np.float32]

SMALLEST_HALF = 2.0**-24
"""The least step between fp16 scales: below it a scale can be off by half of this."""


@st.composite
def weights(draw: st.DrawFn) -> tuple[Float, int, int, int]:
    """A weight, the axis that is cut, the block size and the bits."""
    block_size = draw(st.sampled_from([16, 32]))
    blocks, other = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    axis = draw(st.sampled_from([0, 1]))
    shape = (blocks * block_size, other) if axis == 0 else (other, blocks * block_size)
    values = st.floats(-8, 8, width=32)
    weight = draw(arrays(np.float32, shape, elements=values))
    return weight, axis, block_size, draw(st.sampled_from([4, 8]))


def dequantize(blocks: Blocks, axis: int, block_size: int) -> Float:
    wide = np.repeat(blocks.scales.astype(np.float32), block_size, axis)
    return blocks.values.astype(np.float32) * wide


def in_blocks(weight: Float, axis: int, block_size: int) -> Float:
    """(blocks, block_size), each row a block along ``axis``."""
    rows: Float = np.moveaxis(weight, axis, -1).reshape(-1, block_size)
    return rows


def plain_rounding(weight: Float, axis: int, block_size: int, bits: int) -> Float:
    """Round to nearest with the scale that maps each block's largest magnitude to the lowest q."""
    rows = in_blocks(weight, axis, block_size)
    lowest = -(2 ** (bits - 1))
    peaks = rows[np.arange(len(rows)), np.abs(rows).argmax(1)][:, None]
    scale = (peaks / lowest).astype(np.float16).astype(np.float32)
    steps = np.divide(rows, scale, out=np.zeros_like(rows), where=scale != 0)
    rounded: Float = np.clip(np.rint(steps), lowest, -lowest - 1) * scale
    return rounded


@given(weights())
def test_the_searched_scale_is_never_worse_than_plain_rounding(
    case: tuple[Float, int, int, int],
) -> None:
    weight, axis, block_size, bits = case
    blocks = quantize_blocks(weight, axis, block_size, bits)
    rows = in_blocks(weight, axis, block_size)
    searched = in_blocks(dequantize(blocks, axis, block_size), axis, block_size)
    error = np.square(searched - rows).sum(1)
    plain = np.square(plain_rounding(weight, axis, block_size, bits) - rows).sum(1)
    assert (error <= plain * (1 + 1e-5) + 1e-12).all()


@given(weights())
def test_the_error_of_a_block_is_bounded_by_its_peak(case: tuple[Float, int, int, int]) -> None:
    weight, axis, block_size, bits = case
    blocks = quantize_blocks(weight, axis, block_size, bits)
    rows = in_blocks(weight, axis, block_size)
    error = in_blocks(dequantize(blocks, axis, block_size), axis, block_size) - rows
    levels = 2 ** (bits - 1)
    # Rounding costs half a step and one at the clipped end; the scale itself is rounded to fp16.
    step = np.abs(rows).max(1) / levels * (1 + levels * 2**-11) + levels * SMALLEST_HALF
    assert (np.sqrt(np.square(error).mean(1)) <= step).all()


@given(weights())
def test_values_fit_their_bits_and_shapes_follow_the_axis(
    case: tuple[Float, int, int, int],
) -> None:
    weight, axis, block_size, bits = case
    blocks = quantize_blocks(weight, axis, block_size, bits)
    assert blocks.values.dtype == np.int8
    assert blocks.scales.dtype == np.float16
    assert blocks.values.shape == weight.shape
    expected = list(weight.shape)
    expected[axis] //= block_size
    assert blocks.scales.shape == tuple(expected)
    assert blocks.values.min() >= -(2 ** (bits - 1))
    assert blocks.values.max() <= 2 ** (bits - 1) - 1


@pytest.mark.parametrize("axis", [0, 1])
def test_eight_bits_are_within_a_step_of_ordinary_weights(axis: int) -> None:
    weight = np.random.default_rng(0).normal(0, 0.05, (256, 128)).astype(np.float32)
    blocks = quantize_blocks(weight, axis, 32, 8)
    step = np.repeat(np.abs(blocks.scales.astype(np.float32)), 32, axis)
    assert (np.abs(dequantize(blocks, axis, 32) - weight) <= 1.1 * step).all()


def test_the_search_helps_where_it_can() -> None:
    weight = np.random.default_rng(0).normal(0, 0.05, (256, 128)).astype(np.float32)
    searched = dequantize(quantize_blocks(weight, 1, 32, 4), 1, 32)
    rows = in_blocks(weight, 1, 32)
    plain = np.square(plain_rounding(weight, 1, 32, 4) - rows).sum()
    assert np.square(searched - weight).sum() < 0.95 * plain


def test_more_bits_and_smaller_blocks_lose_less() -> None:
    weight = np.random.default_rng(1).normal(0, 0.05, (64, 128)).astype(np.float32)

    def error(block_size: int, bits: int) -> float:
        blocks = quantize_blocks(weight, 1, block_size, bits)
        return float(np.square(dequantize(blocks, 1, block_size) - weight).sum())

    assert error(32, 8) < error(128, 8) < error(16, 4) < error(32, 4) < error(128, 4)


def test_a_block_of_zeros_stays_zero_beside_others() -> None:
    weight = np.ones((2, 64), np.float32)
    weight[0, :32] = 0
    blocks = quantize_blocks(weight, 1, 32, 4)
    restored = dequantize(blocks, 1, 32)
    np.testing.assert_array_equal(restored[0, :32], 0)
    np.testing.assert_allclose(restored[weight == 1], 1, rtol=1e-3)
    assert np.isfinite(blocks.scales).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_do_not_mix(axis: int) -> None:
    weight = np.random.default_rng(2).normal(0, 1, (64, 64)).astype(np.float32)
    louder = weight.copy()
    louder[np.index_exp[:16] if axis == 0 else np.index_exp[:, :16]] *= 100
    before, after = quantize_blocks(weight, axis, 16, 4), quantize_blocks(louder, axis, 16, 4)
    rest = np.index_exp[16:] if axis == 0 else np.index_exp[:, 16:]
    np.testing.assert_array_equal(before.values[rest], after.values[rest])


@pytest.mark.parametrize(("axis", "length"), [(0, 40), (1, 24)])
def test_an_axis_that_does_not_divide_is_refused(axis: int, length: int) -> None:
    weight = np.ones((40, 24), np.float32)
    with pytest.raises(ValueError, match=f"{length} is not a multiple of the block size 16"):
        quantize_blocks(weight, axis, 16, 4)
