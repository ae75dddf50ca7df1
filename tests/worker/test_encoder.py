from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pesoleve.graph.quantize import SESSION_CONFIG
from pesoleve.native_host import NativeTokenizer
from pesoleve_worker.catalog import Pipeline
from pesoleve_worker.errors import Cancelled, InputError, SessionError
from pesoleve_worker.pipelines.encoder import MAX_BATCH, run_encoder, truncate
from tests.recording_host import RecordingSession
from tests.tiny_bert import HIDDEN, POSITIONS, SEP

PIPELINE = Pipeline(POSITIONS, "sentence_embedding", HIDDEN)
WORDS = ["a", "cat", "is", "under", "the", "street", "light", "onion", "zq", "?"]
MIXED = [" ".join(WORDS[k % 10] for k in range(i, i + 1 + i * 7 % 23)) for i in range(75)]
"""More than two batches, of lengths that sorting would shuffle."""


@pytest.fixture
def session(encoder_graph: Path) -> RecordingSession:
    return RecordingSession(encoder_graph, SESSION_CONFIG)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> NativeTokenizer:
    return NativeTokenizer(tiny_model / "tokenizer.json")


Embed = Callable[..., npt.NDArray[np.float32]]


@pytest.fixture
def embed(session: RecordingSession, tokenizer: NativeTokenizer) -> Embed:
    """Run the pipeline and put each vector in its input's row."""

    def run(inputs: object, pipeline: Pipeline = PIPELINE) -> npt.NDArray[np.float32]:
        batches = asyncio.run(
            run_encoder(inputs, session=session, tokenizer=tokenizer, pipeline=pipeline)
        )
        indices = [index for batch in batches for index in batch.indices]
        assert sorted(indices) == list(range(len(indices))), "every input once"
        vectors = np.concatenate([np.asarray(batch.vectors.native) for batch in batches])
        assert all(batch.vectors.dims == (len(batch.indices), HIDDEN) for batch in batches)
        return vectors[np.argsort(indices)]

    return run


def test_each_text_gets_the_vector_it_gets_alone(embed: Embed) -> None:
    alone = np.concatenate([embed([text]) for text in MIXED])
    np.testing.assert_allclose(embed(MIXED), alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.01, "the texts differ, or the order proves nothing"


def test_order_follows_the_inputs(embed: Embed) -> None:
    np.testing.assert_allclose(embed(MIXED[::-1]), embed(MIXED)[::-1], atol=1e-5)


def test_no_batch_is_larger_than_the_bound(embed: Embed, session: RecordingSession) -> None:
    embed(MIXED)
    sizes = [tensor.dims[0] for tensor in session.answered]
    assert sum(sizes) == len(MIXED)
    assert max(sizes) <= MAX_BATCH


def test_what_is_fed_is_disposed_of_and_what_is_answered_is_not(
    embed: Embed, session: RecordingSession
) -> None:
    embed(MIXED)
    assert all(tensor.disposed for tensor in session.fed)
    assert not any(tensor.disposed for tensor in session.answered)


def test_an_empty_text_is_a_text(embed: Embed) -> None:
    vectors = embed(["", "a cat"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], embed([""])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "no sentence"),
        ((), "no sentence"),
        ("a cat", "a list of strings"),
        (None, "a list of strings"),
        (7, "a list of strings"),
        ({"a": "cat"}, "a list of strings"),
        (["a", 7], "input 1 is int, not a string"),
        ([None], "input 0 is NoneType, not a string"),
        ([["a", "cat"]], "input 0 is list, not a string"),
    ],
)
def test_other_inputs_are_refused_before_anything_runs(
    embed: Embed, session: RecordingSession, inputs: object, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        embed(inputs)
    assert caught.value.code == "input_invalid"
    assert session.log == []


def test_truncation_keeps_the_closing_special_token() -> None:
    assert truncate([2, 10, 11, 12, SEP], 4) == [2, 10, 11, SEP]
    assert truncate([2, 10, SEP], 3) == [2, 10, SEP]
    assert truncate([2, 10, 11, SEP], 2) == [2, SEP]


def test_a_long_text_is_cut_to_the_models_length(embed: Embed, session: RecordingSession) -> None:
    pipeline = Pipeline(8, "sentence_embedding", HIDDEN)
    long = embed(["cat " * 100], pipeline)
    ids = session.fed[session.input_names.index("input_ids")]
    assert ids.disposed
    np.testing.assert_allclose(long, embed(["cat " * 6], pipeline), atol=1e-6)


def test_a_megabyte_of_text_works(embed: Embed) -> None:
    text = "the cat is under a street light. " * 32_000
    assert len(text) > 1_000_000
    vectors = embed([text, "x" * 1_000_000])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_cancel_between_batches_frees_what_was_computed(
    session: RecordingSession, tokenizer: NativeTokenizer
) -> None:
    def after_two_batches() -> None:
        if len(session.answered) == 2:
            raise Cancelled("aborted", "enough")

    with pytest.raises(Cancelled):
        asyncio.run(
            run_encoder(
                MIXED,
                session=session,
                tokenizer=tokenizer,
                pipeline=PIPELINE,
                check_cancelled=after_two_batches,
            )
        )
    assert len(session.answered) == 2
    assert all(tensor.disposed for tensor in [*session.answered, *session.fed])


def test_a_failed_run_frees_what_was_computed(embed: Embed, session: RecordingSession) -> None:
    beyond = Pipeline(POSITIONS + 8, "sentence_embedding", HIDDEN)
    with pytest.raises(SessionError) as caught:
        embed([*["a cat"] * MAX_BATCH, "cat " * 100], beyond)
    assert caught.value.code == "run_failed"
    assert len(session.answered) == 1
    assert all(tensor.disposed for tensor in [*session.answered, *session.fed])


def test_an_output_that_the_graph_lacks_is_named(embed: Embed, session: RecordingSession) -> None:
    with pytest.raises(SessionError, match=r"no output 'logits'.*sentence_embedding"):
        embed(["a cat"], Pipeline(POSITIONS, "logits", HIDDEN))
    assert all(tensor.disposed for tensor in session.answered)


def test_an_input_that_the_task_lacks_is_named(embed: Embed, session: RecordingSession) -> None:
    session.input_names.append("pixel_values")
    with pytest.raises(SessionError, match="pixel_values") as caught:
        embed(["a cat"])
    assert caught.value.code == "session_failed"
