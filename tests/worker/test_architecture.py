"""Counts from a configuration are transformers' own, of models that exist and of small odd ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from pesoleve_worker.architecture import FAMILIES, tensors_of
from pesoleve_worker.model_config import DEFAULTS, ConfigError

TINY_DECODER = {
    "vocab_size": 91,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
TINY_ENCODER = {
    "vocab_size": 91,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 50,
}
TINY_T5 = {"vocab_size": 91, "d_model": 24, "d_kv": 5, "d_ff": 40, "num_layers": 2, "num_heads": 4}
DECODERS = ("llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gemma3_text")
ENCODERS = ("bert", "roberta", "albert")
CONFIGS: dict[str, dict[str, Any]] = {
    **{f"{family} tiny": {"model_type": family, **TINY_DECODER} for family in DECODERS},
    **{f"{family} tiny": {"model_type": family, **TINY_ENCODER} for family in ENCODERS},
    "albert in groups": {
        "model_type": "albert", **TINY_ENCODER, "num_hidden_groups": 3, "inner_group_num": 2,
    },
    "llama untied with biases": {
        "model_type": "llama", **TINY_DECODER, "tie_word_embeddings": False,
        "attention_bias": True, "mlp_bias": True, "head_dim": 10,
    },
    "llama tied": {"model_type": "llama", **TINY_DECODER, "tie_word_embeddings": True},
    "distilbert tiny": {
        "model_type": "distilbert", "vocab_size": 91, "dim": 24, "n_layers": 3, "n_heads": 4,
        "hidden_dim": 40, "max_position_embeddings": 50,
    },
    "gpt2 tiny": {"model_type": "gpt2", "vocab_size": 91, "n_embd": 24, "n_layer": 3, "n_head": 4},
    "t5 tiny": {"model_type": "t5", **TINY_T5},
    "t5 gated, untied, deeper decoder": {
        "model_type": "t5", **TINY_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
        "num_decoder_layers": 3,
    },
    # As published with the weights.
    "Gemma 2B": {
        "model_type": "gemma", "vocab_size": 256000, "hidden_size": 2048, "intermediate_size": 16384,
        "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256,
    },
    "Gemma 7B": {
        "model_type": "gemma", "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256,
    },
    "Mistral 7B": {
        "model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    },
    # The one that writes, as the model with eyes has it: what transformers fills in is left out.
    "Gemma 3 4B": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
        "num_hidden_layers": 34, "sliding_window": 1024,
    },
    "DistilBERT": {
        "model_type": "distilbert", "vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12,
        "hidden_dim": 3072, "max_position_embeddings": 512,
    },
}  # fmt: skip
PUBLISHED = {
    "Gemma 2B": 2_506_172_416,
    "Gemma 7B": 8_537_680_896,
    "Mistral 7B": 7_241_732_096,
    "DistilBERT": 66_362_880,
}
"""As their safetensors' indices and model cards say."""


def transformers_model(config: dict[str, Any]) -> torch.nn.Module:
    options = {key: value for key, value in config.items() if key != "model_type"}
    parsed = transformers.AutoConfig.for_model(config["model_type"], **options)
    if config["model_type"] == "t5":
        kind: Any = transformers.AutoModelForSeq2SeqLM
    elif config["model_type"] in ("bert", "roberta", "albert", "distilbert"):
        kind = transformers.AutoModel
    else:
        kind = transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model: torch.nn.Module = kind.from_config(parsed)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_are_those_of_transformers(name: str) -> None:
    config = CONFIGS[name]
    model = transformers_model(config)
    tensors = tensors_of(config)
    stored = sum(tensor.count for tensor in tensors if tensor.tied_to is None)
    assert stored == sum(parameter.numel() for parameter in model.parameters())
    if name in PUBLISHED:
        assert stored == PUBLISHED[name]
    shapes = sorted(sorted(parameter.shape) for parameter in model.parameters())
    assert sorted(sorted(tensor.shape) for tensor in tensors if tensor.tied_to is None) == [
        list(shape) for shape in shapes
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_embeddings_are_the_tables_of_transformers(name: str) -> None:
    tables = [
        m for m in transformers_model(CONFIGS[name]).modules() if isinstance(m, torch.nn.Embedding)
    ]
    stored = {id(table.weight): table.weight.numel() for table in tables}  # T5 has one under two names
    counted = [tensor for tensor in tensors_of(CONFIGS[name]) if tensor.kind == "embedding"]
    assert sum(tensor.count for tensor in counted) == sum(stored.values())


@pytest.mark.parametrize("family", sorted(set(DEFAULTS) - {"t5"}))
def test_what_may_be_left_out_is_what_transformers_fills_in(family: str) -> None:
    filled = transformers.AutoConfig.for_model(family)
    assert {key: getattr(filled, key) for key in DEFAULTS[family]} == DEFAULTS[family]


def test_every_family_is_tried() -> None:
    assert {config["model_type"] for config in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize(
    ("config", "code", "says"),
    [
        ({}, "no_family", "no model_type"),
        ({"model_type": "rwkv"}, "unknown_family", "no formula for 'rwkv'; there are .* llama"),
        ({"model_type": "bert", "hidden_size": 4}, "lacks_key", "lacks intermediate_size"),
        ({"model_type": "t5", **TINY_T5, "d_kv": "many"}, "not_countable", "d_kv .* be a count"),
        ({"model_type": "gpt2", "vocab_size": True}, "not_countable", "vocab_size"),
        ({"model_type": "gpt2", "vocab_size": 0}, "not_countable", "vocab_size"),
        ({"model_type": "bert", **TINY_ENCODER, "num_hidden_layers": 10**8}, "not_countable",
         "num_hidden_layers"),
    ],
)  # fmt: skip
def test_what_is_lacking_is_named(config: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        tensors_of(config)
    assert raised.value.code == code
