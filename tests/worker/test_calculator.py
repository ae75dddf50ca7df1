"""The calculator's answers are JSON, whatever is pasted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pesoleve_worker.calculator import LARGEST_TEXT, weigh
from pesoleve_worker.model_config import CONFIG_PROBLEMS

BERT = {
    "model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "intermediate_size": 1536,
    "num_hidden_layers": 6, "num_attention_heads": 12, "max_position_embeddings": 512,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}  # fmt: skip


def answer(text: str) -> Any:
    return json.loads(weigh(text))


def test_a_configuration() -> None:
    told = answer(f"\n {json.dumps(LLAMA)} ")["ok"]
    assert told["parameters"]["total"] == 134_515_008
    assert told["weight_class"] == "welter"
    assert not told["encoder"]
    assert told["shape"] == {"vocabulary": 49152, "hidden": 576}
    sizes = told["dtypes"]["q4_1"]["sizes"]
    assert set(sizes) == {"wasm", "wasm_small"}
    assert sizes["wasm"]["read_bytes"] > 3.9 * sizes["wasm_small"]["read_bytes"]
    # As it was measured, with a table in 8 bits where 4 are taken for granted.
    assert sizes["wasm"]["memory_bytes"] == pytest.approx(681.5e6, rel=0.03)
    assert sizes["wasm_small"]["memory_bytes"] == pytest.approx(225.4e6, rel=0.02)
    assert told["dtypes"]["q4_1"]["memory_bytes"] == sizes["wasm_small"]["memory_bytes"]
    assert set(told["dtypes"]["fp32"]["sizes"]) == {"wasm"}


def test_an_encoder_has_no_small_layout() -> None:
    told = answer(json.dumps(BERT))["ok"]
    assert told["encoder"]
    assert all(set(size["sizes"]) == {"wasm"} for size in told["dtypes"].values())


def test_a_count_and_a_nested_configuration() -> None:
    told = answer("2B")["ok"]
    assert told["parameters"]["total"] == 2_000_000_000
    assert not told["encoder"]
    nested = {"model_type": "gemma3", "text_config": LLAMA}
    assert answer(json.dumps(nested))["ok"]["parameters"]["total"] == 134_515_008


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("", "not_a_count", ""),
        ("much", "not_a_count", "much"),
        ("<script>", "not_a_count", "<script>"),
        ("9999T", "not_a_count", "9999T"),
        ("{", "not_json", "Expecting"),
        ("[1]", "not_json", "list"),
        ('{"text_config": 3}', "not_json", "int"),
        ("[" * 100_000, "not_json", ""),
        ('{"a":' + '"' + "x" * LARGEST_TEXT + '"}', "not_json", "characters"),
        ("{}", "no_family", ""),
        ('{"model_type": "rwkv"}', "unknown_family", "rwkv"),
        ('{"model_type": "bert"}', "lacks_key", "hidden_size"),
        (json.dumps(BERT | {"hidden_size": -1}), "not_countable", "hidden_size"),
        (json.dumps(BERT | {"num_hidden_layers": 10**9 - 1}), "not_countable", "num_hidden_layers"),
        (json.dumps({k: v for k, v in BERT.items() if k != "num_attention_heads"}), "lacks_key",
         "num_attention_heads"),
    ],
)  # fmt: skip
def test_what_cannot_be_weighed_is_named(text: str, code: str, detail: str) -> None:
    error = answer(text)["error"]
    assert error["code"] == code
    assert code in CONFIG_PROBLEMS
    assert detail in error["detail"]
    assert len(error["detail"]) < 200
