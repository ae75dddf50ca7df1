from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from pesoleve.blocks import BlockTensor
from pesoleve.planes import ALIGNMENT, Tensors, read_planes, write_planes


@st.composite
def block_tensors(draw: st.DrawFn) -> BlockTensor:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, groups, block = (
        draw(st.integers(1, 5)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from([16, 32])),
    )
    bits = draw(st.sampled_from([4, 8]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    minimum = draw(st.booleans())

    def scales() -> Any:  # any bits: signs, denormals, infinities
        size = np.dtype(dtype).itemsize
        return rng.integers(0, 256, rows * groups * size, np.uint8).view(dtype).reshape(rows, groups)

    return BlockTensor(
        rng.integers(0, 2**bits, (rows, groups * block), np.uint8),
        scales(),
        scales() if minimum else None,
        0 if minimum else draw(st.integers(0, 2**bits - 1)),
        bits,
    )


@st.composite
def floats(draw: st.DrawFn) -> Any:
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.normal(size=shape).astype(np.float32)


NAMES = st.text("abcw.0_qscalemnimum", min_size=1, max_size=12)
TENSORS = st.dictionaries(NAMES, block_tensors() | floats(), max_size=4).filter(
    # A tensor may not be called as another's plane is.
    lambda tensors: (
        not any(f"{a}.{part}" in tensors for a in tensors for part in ("q", "scale", "minimum"))
    )
)


def assert_alike(ours: object, theirs: object) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, BlockTensor):
        assert isinstance(theirs, BlockTensor)
        assert (ours.zero, ours.bits, ours.block) == (theirs.zero, theirs.bits, theirs.block)
        assert (ours.minimum is None) == (theirs.minimum is None)
        for plane in ("q", "scale", "minimum"):
            one, other = getattr(ours, plane), getattr(theirs, plane)
            if one is not None:
                assert (one.dtype, one.shape) == (other.dtype, other.shape)
                assert one.tobytes() == other.tobytes()
    else:
        np.testing.assert_array_equal(ours, theirs)


@given(TENSORS)
def test_what_is_written_is_read(tensors: Tensors) -> None:
    read = read_planes(write_planes(tensors))
    assert list(read) == list(tensors)
    for name, tensor in tensors.items():
        assert_alike(tensor, read[name])


@given(TENSORS)
def test_the_file_is_safetensors(tensors: Tensors) -> None:
    content = write_planes(tensors)
    planes = load(content)
    plain = {n: t for n, t in tensors.items() if not isinstance(t, BlockTensor)}
    for name, values in plain.items():
        np.testing.assert_array_equal(planes[name], values)
    assert {name.rpartition(".")[0] for name in set(planes) - set(plain)} == set(tensors) - set(plain)
    length = int.from_bytes(content[:8], "little")
    assert (8 + length) % ALIGNMENT == 0


def sample(bits: int = 4) -> BlockTensor:
    q = (np.arange(64, dtype=np.uint8) % 16).reshape(2, 32)
    return BlockTensor(q, np.array([[1.5], [-2]], np.float16), None, 8, bits)


def test_four_bits_are_two_to_a_byte_with_the_even_column_low() -> None:
    planes = load(write_planes({"w": sample()}))
    assert planes["w.q"][:3].tolist() == [0x10, 0x32, 0x54]
    assert len(planes["w.q"]) == 32
    assert load(write_planes({"w": sample(8)}))["w.q"][:3].tolist() == [0, 1, 2]


def test_scales_go_most_significant_bytes_first() -> None:
    # 1.5 is 3E00, -2 is C000.
    assert load(write_planes({"w": sample()}))["w.scale"].tolist() == [0x3E, 0xC0, 0x00, 0x00]


def test_the_header_tells_how_a_tensor_is_in_blocks() -> None:
    content = write_planes({"w": sample(), "norm": np.ones(3, np.float32)})
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert json.loads(header["__metadata__"]["blocks"]) == {
        "w": {"shape": [2, 32], "bits": 4, "block": 32, "zero": 8, "scale": "F16"}
    }
    assert header["norm"] == {"dtype": "F32", "shape": [3], "data_offsets": [36, 48]}


@pytest.mark.parametrize(
    "content", [b"", b"\x08\0\0\0\0\0\0\0nonsense", write_planes({"w": sample()})[:60]]
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_planes(content)
