"""Bytes by dtype and by layout, held to GGML's own table and to what was counted by hand."""

from __future__ import annotations

from gguf import GGMLQuantizationType
from gguf.constants import GGML_QUANT_SIZES

from pesoleve_worker.architecture import TensorShape
from pesoleve_worker.formats import BLOCKS, DTYPES, folded_bytes, qdq_bytes, weight_bytes

TABLE = TensorShape("words", "embedding", (64, 128))
MATRIX = TensorShape("up", "matrix", (64, 128))
SMALL = TensorShape("pair", "matrix", (2, 128))
NORM = TensorShape("norm", "vector", (128,))


def test_blocks_are_those_of_ggml() -> None:
    for kind, form in BLOCKS.items():
        assert (form.weights, form.bytes) == GGML_QUANT_SIZES[GGMLQuantizationType[kind]]


def test_every_type_of_ggml_can_be_weighed() -> None:
    of = {dtype: weight_bytes([MATRIX, NORM], dtype) - 4 * 128 for dtype in DTYPES}
    assert of.pop("fp32") == 4 * 64 * 128
    assert of.pop("fp16") == 2 * 64 * 128 - 2 * 128  # its norms are fp16 too
    assert set(of) == {kind.lower() for kind in BLOCKS} - {"f32", "f16"}
    for dtype, found in of.items():
        form = BLOCKS[dtype.upper()]
        # A row of 128 is no whole number of the 256 weights that a K block has, and stays fp16.
        assert found == (2 * 64 * 128 if form.weights > 128 else 64 * 128 // form.weights * form.bytes)


def test_a_table_has_zero_points_and_a_matrix_none() -> None:
    levels, scales = 64 * 128 // 2, 2 * 64 * 4
    assert qdq_bytes([MATRIX], 4, 32) == levels + scales
    assert qdq_bytes([TABLE], 4, 32) == levels + scales + 64 * 4 // 2
    assert qdq_bytes([TABLE], 8, 32) == 2 * levels + scales + 64 * 4
    assert qdq_bytes([SMALL, NORM], 4, 32) == 4 * (2 * 128 + 128)  # not worth it


def test_folded_matrices_are_fp32_and_tables_stay_in_blocks() -> None:
    folded = folded_bytes([TABLE, MATRIX, SMALL, NORM], 4, 32)
    assert folded == qdq_bytes([TABLE], 4, 32) + 4 * (64 * 128 + 2 * 128 + 128)
