"""The task of a model that answers with one row of numbers a sentence, whichever of them it is."""

from __future__ import annotations

from collections.abc import Callable

from ..catalog import Pipeline, TextClassification
from ..host import Session, Tokenizer
from .batches import VectorBatch
from .feature_extraction import feature_extraction
from .text_classification import text_classification


async def run_encoder(
    inputs: object,
    *,
    session: Session,
    tokenizer: Tokenizer,
    pipeline: Pipeline | TextClassification,
    check_cancelled: Callable[[], None] = lambda: None,
) -> list[VectorBatch]:
    """Do the task of ``pipeline``; see the task for what it takes, returns and raises."""
    if isinstance(pipeline, TextClassification):
        return await text_classification(
            inputs,
            session=session,
            tokenizer=tokenizer,
            pipeline=pipeline,
            check_cancelled=check_cancelled,
        )
    return await feature_extraction(
        inputs,
        session=session,
        tokenizer=tokenizer,
        pipeline=pipeline,
        check_cancelled=check_cancelled,
    )
