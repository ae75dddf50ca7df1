"""The canary: a golden input whose answer every device must reproduce before it is trusted.

GPUs that answer wrongly and report no error are a known plague; only running shows them.
"""

from __future__ import annotations

from .catalog import Model
from .errors import CatalogError
from .host import Session, Tokenizer
from .pipelines.feature_extraction import feature_extraction


async def canary_difference(model: Model, dtype: str, session: Session, tokenizer: Tokenizer) -> float:
    """Return the largest difference between the session's answer and the recorded one.

    ``inf`` when the answer has another shape or holds a value that is not a number. This run is
    also the warm-up.
    """
    golden = model.canary.outputs.get(dtype)
    if golden is None or len(golden) != len(model.canary.inputs):
        raise CatalogError("catalog_invalid", f"model {model.id!r} has no canary for {dtype!r}")
    batches = await feature_extraction(
        model.canary.inputs, session=session, tokenizer=tokenizer, pipeline=model.pipeline
    )
    worst = 0.0
    for batch in batches:
        expected = [value for index in batch.indices for value in golden[index]]
        worst = max(worst, batch.vectors.largest_difference(expected))
        batch.vectors.dispose()
    return worst
