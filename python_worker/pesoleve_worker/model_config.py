"""A model's ``config.json`` as it is published: which of it is the language model's, what it may leave
out, and what is wrong with it. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Config = Mapping[str, Any]

LARGEST_COUNT = 10**9
"""No width, vocabulary or number of layers is larger; what a stranger pastes may be."""
MOST_LAYERS = 1000

DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gemma": {"head_dim": 256, "max_position_embeddings": 8192},
    "gemma2": {"head_dim": 256, "max_position_embeddings": 8192},
    "gemma3_text": {
        "vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
        "max_position_embeddings": 131072,
    },
    "gpt2": {"n_positions": 1024},
    "llama": {"max_position_embeddings": 2048},
    "mistral": {"max_position_embeddings": 131072},
    "phi3": {"max_position_embeddings": 4096},
    "qwen2": {"max_position_embeddings": 32768},
    "qwen3": {"head_dim": 128, "max_position_embeddings": 32768},
    "t5": {"max_position_embeddings": 512},
}  # fmt: skip
"""Keys that a published configuration may leave out, by family (transformers'
``configuration_<family>.py``, to which tests hold them; T5 has no limit, and was trained on 512)."""

ALIASES = {"gemma3": "gemma3_text"}
"""Gemma 3 as a GGUF file, and its model with eyes, name it."""


CONFIG_PROBLEMS = {
    "not_json": "it is not a JSON object: {detail}",
    "not_a_count": "{detail!r} is not a count of parameters, like 2B or 22.7M",
    "unknown_family": "no formula for {detail!r}; there are formulas for {known}",
    "no_family": "config.json has no model_type",
    "lacks_key": "config.json lacks {detail}",
    "not_countable": "{detail} in config.json should be a count",
}


class ConfigError(ValueError):
    """A configuration that cannot be weighed; ``code`` is a key of ``CONFIG_PROBLEMS``."""

    def __init__(self, code: str, detail: str = "", known: Iterable[str] = ()) -> None:
        self.code = code
        self.detail = detail
        super().__init__(CONFIG_PROBLEMS[code].format(detail=detail, known=", ".join(known)))


class ConfigReader:
    """Reads counts from a configuration, and says what it lacks."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def count(self, key: str, default: int | None = None) -> int:
        value = self.config.get(key)
        value = default if value is None else value
        if value is None:
            raise ConfigError("lacks_key", key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < LARGEST_COUNT:
            raise ConfigError("not_countable", key)
        return value

    def layers(self, key: str, default: int | None = None) -> int:
        depth = self.count(key, default)
        if depth > MOST_LAYERS:
            raise ConfigError("not_countable", key)
        return depth

    def flag(self, key: str, default: bool) -> bool:
        value = self.config.get(key)
        return default if value is None else bool(value)


def completed(config: Config) -> dict[str, Any]:
    """Return the language model's configuration, with the defaults that it leaves out.

    In that of a model with eyes it is what ``text_config`` holds.

    Raises:
        ConfigError: where ``text_config`` is no object, or ``model_type`` is missing.
    """
    outer, config = config, config.get("text_config", config)
    if not isinstance(config, Mapping):
        raise ConfigError("not_json", type(config).__name__)
    family = config.get("model_type", outer.get("model_type"))
    if not isinstance(family, str) or not family:
        raise ConfigError("no_family")
    family = ALIASES.get(family, family)
    said = {key: value for key, value in config.items() if value is not None}
    filled = {**DEFAULTS.get(family, {}), **said, "model_type": family}
    if "n_inner" not in filled and isinstance(filled.get("n_embd"), int):
        filled["n_inner"] = 4 * filled["n_embd"]
    return filled
