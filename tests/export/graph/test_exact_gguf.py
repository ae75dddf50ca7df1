"""Every type's blocks against gguf-py's own dequantization: the same numbers, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from hypothesis import given
from hypothesis import strategies as st

from pesoleve.blocks import BlockTensor
from pesoleve.graph.exact_gguf import BLOCK_BYTES, read_blocks, stack
from tests.tiny_gguf import IN_BLOCKS, K_QUANTS, PLAIN, Bytes, stored

BLOCKS = {"Q4_0": (32, 4), "Q4_1": (32, 4), "Q5_0": (32, 8), "Q5_1": (32, 8), "Q8_0": (32, 8)}
BLOCKS |= {"Q4_K": (32, 4), "Q6_K": (16, 8)}
"""By type, the weights that share a scale, and the bits of the plane."""

BITS = {"Q4_0": 4, "Q4_1": 4, "Q5_0": 5, "Q5_1": 5, "Q8_0": 8, "Q4_K": 4, "Q6_K": 6}


def raw_of(kind: str, seed: int = 0, rows: int = 5, columns: int = 512) -> Bytes:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 0.3, (rows, columns)).astype(np.float32)
    return np.asarray(stored(weight, kind, rng)).view(np.uint8)


def blocks_of(kind: str, seed: int = 0) -> BlockTensor:
    blocks = read_blocks(kind, raw_of(kind, seed))
    assert blocks is not None
    return blocks


def gguf_values(kind: str, raw: Bytes) -> npt.NDArray[np.float32]:
    return np.asarray(dequantize(raw, GGMLQuantizationType[kind]))


def test_every_type_that_gguf_has_in_blocks_is_tried() -> None:
    assert set(BLOCK_BYTES) == {*IN_BLOCKS, *K_QUANTS}
    for kind, (size, _) in BLOCK_BYTES.items():
        assert size == GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]


@pytest.mark.parametrize("kind", BLOCK_BYTES)
@pytest.mark.parametrize("seed", range(3))
def test_the_blocks_are_gguf_numbers_to_the_bit(kind: str, seed: int) -> None:
    raw = raw_of(kind, seed)
    blocks = read_blocks(kind, raw)
    assert blocks is not None
    ours, theirs = blocks.dequantize(), gguf_values(kind, raw)
    assert ours.shape == theirs.shape == (5, 512)
    assert ours.dtype == np.float32
    assert np.abs(theirs).max() > 0
    np.testing.assert_array_equal(ours, theirs)
    assert (blocks.block, blocks.bits) == BLOCKS[kind]


@given(st.sampled_from(sorted(IN_BLOCKS)), st.data())
def test_any_bytes_whose_scales_are_numbers_are_the_same(kind: str, data: st.DataObject) -> None:
    """Scales of any sign and size, denormal ones too, that a quantizer would never write."""
    size = BLOCK_BYTES[kind][0]
    content = bytearray(data.draw(st.binary(min_size=2 * size, max_size=2 * size)))
    finite = st.floats(width=16, allow_nan=False, allow_infinity=False)
    for start in (0, size):
        for at in (0, 2) if kind.endswith("_1") else (0,):
            content[start + at : start + at + 2] = np.float16(data.draw(finite)).tobytes()
    raw = np.frombuffer(bytes(content), np.uint8).reshape(1, -1)
    blocks = read_blocks(kind, raw)
    assert blocks is not None
    np.testing.assert_array_equal(blocks.dequantize(), gguf_values(kind, raw))


@pytest.mark.parametrize("kind", BLOCK_BYTES)
def test_levels_fit_their_bits_and_planes_are_contiguous(kind: str) -> None:
    blocks = blocks_of(kind)
    assert blocks.q.dtype == np.uint8
    assert blocks.q.max() < 2 ** BITS[kind]
    assert blocks.q.max() >= 2 ** (BITS[kind] - 1)
    assert blocks.scale.dtype == (np.float32 if kind in K_QUANTS else np.float16)
    for plane in (blocks.q, blocks.scale, blocks.minimum):
        assert plane is None or plane.flags.c_contiguous


@pytest.mark.parametrize("kind", PLAIN)
def test_a_type_of_floats_has_no_blocks(kind: str) -> None:
    assert read_blocks(kind, np.zeros((2, 64), np.uint8)) is None


@pytest.mark.parametrize("kind", BLOCK_BYTES)
def test_parts_are_stacked_in_their_order(kind: str) -> None:
    parts = [blocks_of(kind, seed) for seed in range(3)]
    whole = stack(parts)
    expected = np.concatenate([part.dequantize() for part in parts])
    np.testing.assert_array_equal(whole.dequantize(), expected)
    assert (whole.minimum is None) == (parts[0].minimum is None)


def test_one_part_is_itself() -> None:
    part = blocks_of("Q4_1")
    whole = stack([part])
    np.testing.assert_array_equal(whole.dequantize(), part.dequantize())


@pytest.mark.parametrize("other", ["Q8_0", "Q4_1", "Q5_0", "Q4_K"])
def test_parts_of_different_types_keep_every_value(other: str) -> None:
    for parts in ([blocks_of("Q4_0"), blocks_of(other)], [blocks_of(other), blocks_of("Q4_0")]):
        expected = np.concatenate([part.dequantize() for part in parts])
        np.testing.assert_array_equal(stack(parts).dequantize(), expected)


def test_parts_that_differ_in_one_thing_keep_every_value() -> None:
    part = blocks_of("Q8_0")
    twice: Any = np.repeat(part.scale, 2, axis=1)
    for unlike in (
        replace(part, minimum=part.scale),
        replace(part, scale=part.scale.astype(np.float32)),
        replace(part, scale=twice),
        replace(blocks_of("Q4_0"), zero=7),
    ):
        expected = np.concatenate([part.dequantize(), unlike.dequantize()])
        np.testing.assert_array_equal(stack([part, unlike]).dequantize(), expected)
