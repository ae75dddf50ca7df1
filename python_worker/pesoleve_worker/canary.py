"""The canary: a golden input whose answer every device must reproduce before it is trusted.

GPUs that answer wrongly and report no error are a known plague; only running shows them.
"""

from __future__ import annotations

import operator

from .catalog import Model, TextGeneration
from .errors import CatalogError
from .host import Decoder, Session, Tokenizer
from .pipelines.encoder import run_encoder


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
    model: Model, dtype: str, decoder: Decoder, tokenizer: Tokenizer
) -> float:
    """Return the share of golden tokens that the decoder, choosing the likeliest, gets wrong.

    The text is fed as it is (a chat template would make the visitor wait for four times the tokens),
    then one golden token, then the others as many at once as an answer's tokens may be: one wrong token
    is one, not all that follow. The cache is empty again afterwards.
    """
    wrong = total = 0
    for text, golden in zip(model.canary.inputs, _golden(model, dtype), strict=True):
        decoder.truncate(0)
        ids = tokenizer.encode(text, special=True)
        expected, at = [int(token) for token in golden], 0
        while at < len(expected):
            candidates = await decoder.feed(ids, 1, keep=len(ids) if at else 1)
            answers = [found.ids[0] for found in candidates]
            end = at + len(answers)
            wrong += sum(map(operator.ne, answers, expected[at:end]))
            # The last is fed to nothing.
            ids = expected[end - 1 : -1][: decoder.widest if at else 1]
            at = end
        total += len(expected)
    decoder.truncate(0)
    return wrong / total if total else float("inf")


def _golden(model: Model, dtype: str) -> list[list[float]]:
    golden = model.canary.outputs.get(dtype)
    if golden is None or len(golden) != len(model.canary.inputs):
        raise CatalogError("catalog_invalid", f"model {model.id!r} has no canary for {dtype!r}")
    return golden
