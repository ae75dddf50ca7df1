"""What a model takes beside its weights: from the shape, held to what was built and to formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pesoleve.catalog import read
from pesoleve_worker.beside import (
    activation_bytes,
    beside_weights,
    graph_bytes,
    logits_bytes,
    rotary_bytes,
    tokenizer_bytes,
)
from pesoleve_worker.catalog import Model, Shape

MODELS = Path(__file__).parents[2] / "site" / "models"
LLAMA = Shape(
    family="llama", layers=30, hidden=576, heads=9, kv_heads=3, head_size=64,
    intermediate=1536, vocabulary=49152, context=8192,
)  # fmt: skip


@pytest.fixture(scope="module", params=["minilm-l6", "smollm2-135m-instruct"])
def built(request: pytest.FixtureRequest) -> Model:
    return next(model for model in read(MODELS).models if model.id == request.param)


@pytest.mark.parametrize("role", ["tokenizer", "graph"])
def test_files_are_about_as_large_as_was_said(built: Model, role: str) -> None:
    told = {"tokenizer": tokenizer_bytes, "graph": graph_bytes}[role](built.shape)
    files = [f for f in built.wire_files("wasm", built.default_dtype) if f.role == role]
    assert told[0] == pytest.approx(sum(f.bytes for f in files), rel=0.1)
    assert told[1] == pytest.approx(sum(f.decoded_bytes for f in files), rel=0.1)


def test_a_cosine_and_a_sine_for_half_of_a_head_at_every_position() -> None:
    assert rotary_bytes(LLAMA) == 2 * 8192 * 32 * 4
    assert rotary_bytes(replace(LLAMA, family="gemma3_text")) == 4 * 8192 * 32 * 4
    assert {rotary_bytes(replace(LLAMA, family=f)) for f in ("bert", "gpt2", "t5")} == {0}


def test_the_feed_forward_is_the_widest_of_a_short_text_and_scores_of_a_long_one() -> None:
    assert activation_bytes(LLAMA, 1) == 4 * (2 * 576 + 3 * 1536)
    longest = activation_bytes(LLAMA, 8192)
    assert longest == 4 * 8192 * (2 * 576 + 2 * (9 + 3) * 64 + 9 * 8192)
    plain = replace(LLAMA, family="bert")
    assert activation_bytes(plain, 1) == 4 * (2 * 576 + max(2 * (9 + 3) * 64 + 9, 1536))


def test_one_row_of_logits_or_one_for_every_token() -> None:
    assert logits_bytes(LLAMA) == 4 * 49152
    assert beside_weights(LLAMA).logits_of_all == 512 * 4 * 49152
    assert beside_weights(replace(LLAMA, context=128)).logits_of_all == 128 * 4 * 49152
    assert logits_bytes(replace(LLAMA, family="bert")) == 0
