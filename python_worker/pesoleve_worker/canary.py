"""The canary: a golden input whose answer every device must reproduce before it is trusted.

GPUs that answer wrongly and report no error are a known plague; only running shows them.
"""

from __future__ import annotations

from .catalog import Model, TextGeneration
from .errors import CatalogError
from .host import Decoder, Session, Tokenizer
from .pipelines.encoder import run_encoder
from .pipelines.text_generation import Render


async def canary_difference(model: Model, dtype: str, session: Session, tokenizer: Tokenizer) -> float:
    """Return the largest difference between the session's answer and the recorded ones.

    ``inf`` when the answer has another shape or holds a value that is not a number. This run is
    also the warm-up.
    """
    assert not isinstance(model.pipeline, TextGeneration)
    golden = _golden(model, dtype)
    batches = await run_encoder(
        model.canary.inputs, session=session, tokenizer=tokenizer, pipeline=model.pipeline
    )
    worst = 0.0
    for batch in batches:
        expected = [value for index in batch.indices for value in golden[index]]
        worst = max(worst, batch.vectors.largest_difference(expected))
        batch.vectors.dispose()
    return worst


async def decoder_canary_difference(
    model: Model, dtype: str, decoder: Decoder, tokenizer: Tokenizer, render: Render
) -> float:
    """Return the share of golden tokens that the decoder, choosing the likeliest, gets wrong.

    The cache is empty again afterwards.
    """
    wrong = total = 0
    for text, golden in zip(model.canary.inputs, _golden(model, dtype), strict=True):
        decoder.truncate(0)
        ids = tokenizer.encode(render([{"role": "user", "content": text}]), special=False)
        for expected in golden:
            candidates = await decoder.feed(ids, 1)
            ids = [int(expected)]  # one wrong token is one, not all that follow
            wrong += candidates[-1].ids[0] != int(expected)
            total += 1
    decoder.truncate(0)
    return wrong / total if total else float("inf")


def _golden(model: Model, dtype: str) -> list[list[float]]:
    golden = model.canary.outputs.get(dtype)
    if golden is None or len(golden) != len(model.canary.inputs):
        raise CatalogError("catalog_invalid", f"model {model.id!r} has no canary for {dtype!r}")
    return golden
