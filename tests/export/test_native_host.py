from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import onnx
import pytest

from pesoleve.graph import decoder as decoder_module
from pesoleve.graph import layouts
from pesoleve.native_host import NativeDecoder, NativeSession, NativeTensor, NativeTokenizer
from pesoleve_worker.errors import SessionError
from tests.tiny_bert import CLS, SEP, vocabulary
from tests.tiny_llama import IM_END, IM_START, VOCABULARY

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


def test_without_special_nothing_is_added_and_what_is_written_out_is_read(tiny_model: Path) -> None:
    tokenizer = NativeTokenizer(tiny_model / "tokenizer.json")
    ids = vocabulary()
    assert tokenizer.encode("a cat", special=False) == [ids["a"], ids["cat"]]
    assert tokenizer.encode("", special=False) == []


def test_special_tokens_have_no_text(tiny_llama: Path) -> None:
    tokenizer = NativeTokenizer(tiny_llama / "tokenizer.json")
    ids = tokenizer.encode("<|im_start|>Pão 👍<|im_end|>", special=False)
    assert (ids[0], ids[-1]) == (IM_START, IM_END)
    assert tokenizer.decode(ids) == "Pão 👍"
    assert tokenizer.decode([]) == ""


def test_the_first_bytes_of_a_character_are_no_text(tiny_llama: Path) -> None:
    tokenizer = NativeTokenizer(tiny_llama / "tokenizer.json")
    ids = tokenizer.encode("你", special=False)
    assert len(ids) == 3
    assert set(tokenizer.decode(ids[:-1])) == {"\ufffd"}
    assert tokenizer.decode(ids) == "你"


def test_a_graph_that_is_no_decoder_is_a_session_error() -> None:
    with pytest.raises(SessionError) as caught:
        NativeDecoder(b"no graph", {}, {})
    assert caught.value.code == "session_failed"


def test_weights_that_the_graph_has_not_are_a_session_error(decoder_graph: bytes) -> None:
    with pytest.raises(SessionError, match="nothing_of_that_name") as caught:
        NativeDecoder(decoder_graph, {"nothing_of_that_name": np.zeros(3, np.float32)}, {})
    assert caught.value.code == "session_failed"


@pytest.mark.parametrize("ids", [[], [VOCABULARY], [-VOCABULARY - 1]])
def test_ids_that_cannot_be_looked_up_are_a_run_error(decoder: NativeDecoder, ids: list[int]) -> None:
    with pytest.raises(SessionError) as caught:
        asyncio.run(decoder.feed(ids, 1))
    assert caught.value.code == "run_failed"


def test_a_decoder_counts_what_its_cache_holds(decoder: NativeDecoder) -> None:
    assert decoder.length == 0
    asyncio.run(decoder.feed([1, 2, 3], 2))
    (answer,) = asyncio.run(decoder.feed([4], 2))
    assert decoder.length == 4
    assert len(answer.ids) == len(answer.logits) == 2
    assert all(type(token) is int for token in answer.ids)
    assert answer.log_normalizer > answer.logits[0] >= answer.logits[1]
    decoder.truncate(0)
    assert decoder.length == 0


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> onnx.ModelProto:
    return decoder_module.build_decoder(tiny_llama)


@pytest.fixture
def decoder_graph(model: onnx.ModelProto) -> bytes:
    graph: bytes = layouts.lay_out(model, layouts.weights_of(model), "float32").SerializeToString()
    return graph


@pytest.fixture
def decoder(model: onnx.ModelProto, decoder_graph: bytes) -> NativeDecoder:
    return NativeDecoder(decoder_graph, layouts.expand(layouts.weights_of(model), "float32"), {})
