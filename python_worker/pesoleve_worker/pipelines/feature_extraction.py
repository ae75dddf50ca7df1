"""Sentences to vectors. Pooling and normalization are inside the graph."""

from __future__ import annotations

from collections.abc import Callable

from ..catalog import Pipeline
from ..host import Session, Tokenizer
from .batches import VectorBatch, run_batches


async def feature_extraction(
    inputs: object,
    *,
    session: Session,
    tokenizer: Tokenizer,
    pipeline: Pipeline,
    check_cancelled: Callable[[], None] = lambda: None,
) -> list[VectorBatch]:
    """Embed each sentence.

    Args:
        inputs: a non-empty list of strings; an empty string is a sentence like another.
        check_cancelled: called before every batch; raises to stop.

    Returns:
        Batches that cover every input once. Each row has unit length when the recipe normalizes.

    Raises:
        InputError, SessionError, and whatever ``check_cancelled`` raises.
    """
    return await run_batches(
        inputs,
        "feature_extraction",
        session=session,
        tokenizer=tokenizer,
        pipeline=pipeline,
        check_cancelled=check_cancelled,
    )
