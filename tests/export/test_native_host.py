from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from pesoleve.native_host import NativeSession, NativeTensor, NativeTokenizer
from pesoleve_worker.errors import SessionError
from tests.tiny_bert import CLS, SEP, vocabulary

INF = float("inf")


def tensor(*values: float) -> NativeTensor:
    return NativeTensor(np.array([values], np.float32))


def test_a_tensor_knows_its_shape() -> None:
    assert NativeTensor(np.zeros((2, 3))).dims == (2, 3)


@pytest.mark.parametrize(
    ("values", "expected", "difference"),
    [
        ((1, 2, 3), [1, 2, 3], 0),
        ((1, 2, 3), [1, 2.5, 3.25], 0.5),
        ((-1, 2), [1, 2], 2),
        ((), [], 0),
        ((1, 2), [1, 2, 3], INF),
        ((1, 2), [1], INF),
        ((float("nan"), 2), [1, 2], INF),
        ((INF, 2), [INF, 2], INF),
    ],
)
def test_the_largest_difference(
    values: tuple[float, ...], expected: list[float], difference: float
) -> None:
    assert tensor(*values).largest_difference(expected) == difference


def test_a_session_takes_what_the_graph_names(encoder_graph: Path) -> None:
    session = NativeSession(encoder_graph, {})
    assert sorted(session.input_names) == ["attention_mask", "input_ids", "token_type_ids"]
    made = session.int64_tensor([[1, 2, 3], [4, 5, 6]])
    assert made.dims == (2, 3)
    assert made.native.dtype == np.int64


def test_a_graph_that_is_not_one_is_a_session_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(SessionError, match=r"model\.onnx") as caught:
        NativeSession(tmp_path, {})
    assert caught.value.code == "session_failed"


def test_an_absent_graph_is_a_session_error(tmp_path: Path) -> None:
    with pytest.raises(SessionError) as caught:
        NativeSession(tmp_path, {})
    assert caught.value.code == "session_failed"


def test_an_id_outside_the_vocabulary_is_a_run_error(encoder_graph: Path) -> None:
    session = NativeSession(encoder_graph, {})
    feeds = {name: session.int64_tensor([[10**6]]) for name in session.input_names}
    with pytest.raises(SessionError) as caught:
        asyncio.run(session.run(feeds))
    assert caught.value.code == "run_failed"


def test_the_tokenizer_neither_cuts_nor_pads(tiny_model: Path) -> None:
    tokenizer = NativeTokenizer(tiny_model / "tokenizer.json")
    ids = vocabulary()
    assert tokenizer.encode("") == [CLS, SEP]
    assert tokenizer.encode("A cat") == [CLS, ids["a"], ids["cat"], SEP]
    assert len(tokenizer.encode("cat " * 500)) == 502
