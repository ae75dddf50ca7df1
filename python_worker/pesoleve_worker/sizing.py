"""Sizes from a model's shape. Shared by the export and the page; standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from .catalog import Shape

WEIGHT_CLASSES: tuple[tuple[str, float], ...] = (
    ("straw", 1e6),
    ("fly", 10e6),
    ("feather", 30e6),
    ("light", 100e6),
    ("welter", 300e6),
    ("middle", 1e9),
    ("heavy", 10e9),
    ("super-heavy", float("inf")),
)
"""Each class with the number of parameters it stays below, lightest first."""


def weight_class(parameters: int) -> str:
    """Return the weight class of a model with this many parameters in total."""
    if parameters < 0:
        raise ValueError(f"a model cannot have {parameters} parameters")
    return next(name for name, limit in WEIGHT_CLASSES if parameters < limit)


CONFIG_KEYS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layers"),
    "hidden": ("hidden_size", "dim"),
    "heads": ("num_attention_heads", "n_heads"),
    "intermediate": ("intermediate_size", "hidden_dim"),
    "vocabulary": ("vocab_size",),
    "context": ("max_position_embeddings",),
}
"""Each quantity with the names that transformers' configurations give it."""


def shape_from_config(config: Mapping[str, object]) -> Shape:
    """Read a model's shape from its ``config.json``.

    Raises:
        ValueError: naming the keys that are missing or are not counts.
    """
    found: dict[str, int] = {}
    for name, keys in CONFIG_KEYS.items():
        value = next((config[key] for key in keys if key in config), None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            found[name] = value
    lacking = [keys[0] for name, keys in CONFIG_KEYS.items() if name not in found]
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        lacking.append("model_type")
    if lacking:
        raise ValueError(f"config.json has no usable {', '.join(lacking)}")
    kv_heads = config.get("num_key_value_heads", found["heads"])
    if not isinstance(kv_heads, int) or isinstance(kv_heads, bool) or kv_heads <= 0:
        raise ValueError(f"num_key_value_heads should be a count, not {kv_heads!r}")
    head_size = config.get("head_dim") or found["hidden"] // found["heads"]
    if not isinstance(head_size, int) or isinstance(head_size, bool) or head_size <= 0:
        raise ValueError(f"head_dim should be a count, not {head_size!r}")
    return Shape(family=str(family), kv_heads=kv_heads, head_size=head_size, **found)
