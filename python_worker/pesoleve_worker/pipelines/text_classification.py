"""Sentences to the probability of each label. The classifier is inside the graph."""

from __future__ import annotations

from collections.abc import Callable

from ..catalog import TextClassification
from ..host import Session, Tokenizer
from .batches import VectorBatch, run_batches


async def text_classification(
    inputs: object,
    *,
    session: Session,
    tokenizer: Tokenizer,
    pipeline: TextClassification,
    check_cancelled: Callable[[], None] = lambda: None,
) -> list[VectorBatch]:
    """Classify each sentence.

    Args:
        inputs: a non-empty list of strings; an empty string is a sentence like another.
        check_cancelled: called before every batch; raises to stop.

    Returns:
        Batches that cover every input once. A row has a probability for each of ``pipeline.labels``.

    Raises:
        InputError, SessionError, and whatever ``check_cancelled`` raises.
    """
    return await run_batches(
        inputs,
        "text_classification",
        session=session,
        tokenizer=tokenizer,
        pipeline=pipeline,
        check_cancelled=check_cancelled,
    )
