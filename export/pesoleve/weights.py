"""A decoder's weights in the form that a recipe's dtype asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .blocks import BlockTensor, Float
from .graph import exact_gguf
from .graph.decoder import HEAD, TABLE
from .recipe import WeightsDtype
from .sources import ModelSource
from .sources.gguf_file import GgufFile

QUANTIZERS = (exact_gguf,)
"""Modules whose code decides what ``reduce_weights`` returns."""


def describe(dtype: WeightsDtype) -> str:
    """Say in words what the dtype does to the weights."""
    if dtype.method == "exact_gguf":
        return "the GGUF's own integers, bit-exact"
    if dtype.method == "fp32":
        return "fp32 as they are"
    return (
        f"{dtype.method.upper()}, {dtype.bits} bits in blocks of {dtype.block_size}, "
        f"embeddings in {dtype.embedding_bits}"
    )


def reduce_weights(
    dtype: WeightsDtype,
    weights: dict[str, npt.NDArray[np.float32]],
    source: ModelSource,
    directory: Path,
) -> dict[str, BlockTensor | Float]:
    """Return every weight of the graph, reduced as ``dtype`` says.

    Args:
        weights: by the graph's names; matrices are (N, K).
        directory: the source in the Hugging Face layout.

    Raises:
        ValueError: when the dtype does not suit the model.
    """
    del directory
    if dtype.method == "fp32":
        return dict(weights)
    if dtype.method == "exact_gguf":
        return exact(weights, source)
    raise ValueError(f"there is no method {dtype.method!r}")


def exact(
    weights: dict[str, npt.NDArray[np.float32]], source: ModelSource
) -> dict[str, BlockTensor | Float]:
    """Take the GGUF's integers; a tensor whose type has none, or that cannot be joined, stays fp32."""
    if source.kind != "gguf":
        raise ValueError("method 'exact_gguf' needs a source of kind 'gguf'")
    file = GgufFile(source.directory)
    tensors: dict[str, BlockTensor | Float] = {}
    for name, weight in weights.items():
        blocks = _blocks(name, file)
        tensors[name] = weight if blocks is None else blocks
    return tensors


def source_names(name: str) -> list[str]:
    """Return transformers' names of what the graph's weight ``name`` holds, stacked in this order."""
    plain = name.replace(".MatMul.", ".").replace(".attn.", ".self_attn.")
    if ".qkv_proj." in plain:
        return [plain.replace("qkv_proj", f"{part}_proj") for part in "qkv"]
    return [plain]


def _blocks(name: str, file: GgufFile) -> BlockTensor | None:
    names = source_names(name)
    if any(part not in file.tensors for part in names):
        return None
    parts = [file.tensors[part].blocks() for part in names]
    found = [part for part in parts if part is not None]
    joined = exact_gguf.stack(found) if len(found) == len(parts) else None
    tied_with_minimum = name in (TABLE, HEAD) and joined is not None and joined.minimum is not None
    return None if tied_with_minimum else joined
