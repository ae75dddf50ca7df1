"""Sentences in, one row of numbers for each out: the tasks ``feature_extraction``, whose pooling and
normalization are inside the graph, and ``text_classification``, whose classifier is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..catalog import Pipeline, TextClassification
from ..errors import InputError, SessionError
from ..host import Session, Tensor, Tokenizer

MAX_BATCH = 32
"""Sentences a run: bounds the activations, and how long a cancel waits."""


@dataclass(frozen=True)
class VectorBatch:
    """``vectors`` has one row for each of ``indices`` into the caller's inputs."""

    indices: list[int]
    vectors: Tensor


def validate(inputs: object, task: str) -> list[str]:
    """Return ``inputs`` as a list of sentences, or raise ``input_invalid`` saying what is wrong."""
    if isinstance(inputs, str) or not isinstance(inputs, Sequence):
        raise InputError("input_invalid", f"{task} takes a list of strings")
    if not inputs:
        raise InputError("input_invalid", f"{task} was given no sentence")
    for index, text in enumerate(inputs):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise InputError("input_invalid", f"input {index} is {kind}, not a string")
    return list(inputs)


def truncate(ids: list[int], max_length: int) -> list[int]:
    """Cut to ``max_length`` ids, keeping the closing special token, as transformers does."""
    return ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]


async def run_encoder(
    inputs: object,
    *,
    session: Session,
    tokenizer: Tokenizer,
    pipeline: Pipeline | TextClassification,
    check_cancelled: Callable[[], None] = lambda: None,
) -> list[VectorBatch]:
    """Run the graph over every sentence and return the rows of ``pipeline.output``.

    Sentences of like length share a batch, so that little is spent on padding.

    Args:
        inputs: a non-empty list of strings; an empty string is a sentence like another.
        check_cancelled: called before every batch; raises to stop.

    Returns:
        Batches that cover every input once. A row is a sentence's vector, of unit length when the
        recipe normalizes, or the probability of each of ``pipeline.labels``.

    Raises:
        InputError, SessionError, and whatever ``check_cancelled`` raises.
    """
    classifies = isinstance(pipeline, TextClassification)
    texts = validate(inputs, "text_classification" if classifies else "feature_extraction")
    encoded = [truncate(tokenizer.encode(text), pipeline.max_length) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    batches = []
    try:
        for start in range(0, len(order), MAX_BATCH):
            check_cancelled()
            indices = order[start : start + MAX_BATCH]
            vectors = await _run([encoded[i] for i in indices], session, pipeline.output)
            batches.append(VectorBatch(indices, vectors))
    except BaseException:
        for batch in batches:
            batch.vectors.dispose()
        raise
    return batches


async def _run(rows: list[list[int]], session: Session, output: str) -> Tensor:
    width = max(map(len, rows))
    values = {
        "input_ids": [row + [0] * (width - len(row)) for row in rows],
        "attention_mask": [[1] * len(row) + [0] * (width - len(row)) for row in rows],
        "token_type_ids": [[0] * width for _ in rows],
    }
    unknown = [name for name in session.input_names if name not in values]
    if unknown:
        raise SessionError("session_failed", f"the graph wants {unknown}, which this task has not")
    feeds = {name: session.int64_tensor(values[name]) for name in session.input_names}
    try:
        outputs = await session.run(feeds)
    finally:
        for tensor in feeds.values():
            tensor.dispose()
    for name, tensor in outputs.items():
        if name != output:
            tensor.dispose()
    if output not in outputs:
        raise SessionError("session_failed", f"the graph has no output {output!r}: {[*outputs]}")
    return outputs[output]
