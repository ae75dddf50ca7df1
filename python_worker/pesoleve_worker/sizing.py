"""Sizes from a model's shape. Shared by the export and the page; standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .architecture import TensorShape
from .catalog import Parameters, Shape

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


def count_parameters(tensors: Iterable[TensorShape]) -> Parameters:
    """Count them as the catalog does: ``total`` without what is tied, which is one with another."""
    stored = embedding = 0
    for tensor in tensors:
        if tensor.tied_to is None:
            stored += tensor.count
            embedding += tensor.count if tensor.kind == "embedding" else 0
    return Parameters(total=stored, stored=stored, embedding=embedding)


@dataclass(frozen=True)
class BlockFormat:
    """So many bytes for a block of so many weights of one row."""

    weights: int
    bytes: int


BLOCKS: Mapping[str, BlockFormat] = {
    "F32": BlockFormat(1, 4),
    "F16": BlockFormat(1, 2),
    "Q8_0": BlockFormat(32, 34),
    "Q4_1": BlockFormat(32, 20),
    "Q4_0": BlockFormat(32, 18),
}
"""GGML's types: levels, and fp16 scales and minimums (``block_*`` in ggml-common.h)."""

DTYPES: Mapping[str, tuple[str, str]] = {
    "fp32": ("F32", "F32"),
    "fp16": ("F16", "F16"),
    "q8_0": ("Q8_0", "Q8_0"),
    "q4_1": ("Q4_1", "Q8_0"),
    "q4_0": ("Q4_0", "Q8_0"),
}
"""Each with the types of matrices, and of tables that are looked up in."""


def weight_bytes(tensors: Iterable[TensorShape], dtype: str) -> int:
    """Return the bytes that the weights take in ``dtype``, before zstd; what is tied stands once.

    Vectors stay fp32, but in fp16. A matrix whose rows are no whole number of blocks is fp16, as
    llama.cpp leaves it.
    """
    matrix, embedding = DTYPES[dtype]
    types = {"matrix": matrix, "embedding": embedding, "vector": "F16" if dtype == "fp16" else "F32"}
    total = 0
    for tensor in tensors:
        if tensor.tied_to is None:
            form = BLOCKS[types[tensor.kind]]
            if tensor.shape[-1] % form.weights:
                form = BLOCKS["F16"]
            total += tensor.count // form.weights * form.bytes
    return total


def uniform_weight_bytes(parameters: int, dtype: str) -> int:
    """Return about the bytes of so many weights, all of the type of ``dtype``'s matrices."""
    form = BLOCKS[DTYPES[dtype][0]]
    return parameters * form.bytes // form.weights
