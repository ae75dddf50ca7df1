"""Trained weights as they are kept: how far training moved each weight, in a few bits, so that the
weights of every model of the lab together fit into a repository.

What training ends with is what this gives back, rounding included: the figures are those of what is
kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from safetensors.numpy import load, save
from torch import Tensor

from ..errors import SourceError
from ..graph.quantize import quantize_blocks

SMALLEST = 4096
"""Weights; a smaller tensor is kept as fp32."""

BLOCKS = (128, 64, 32, 16)


def encode(
    state: Mapping[str, Tensor],
    begun: Mapping[str, Tensor],
    bits: int,
    note: Any,
    blocks: tuple[int, ...] = BLOCKS,
) -> bytes:
    """Return ``state`` as its distance from ``begun``; what that lacks is taken from 0.

    Args:
        bits: of each weight of a matrix, 2 to 8.
        note: JSON that ``note_of`` returns.
        blocks: how many weights may have a scale: the first that divides a row is taken. Weights that
            are on levels of such blocks already come back as they are.
    """
    kept: dict[str, np.ndarray[Any, Any]] = {}
    for name, tensor in state.items():
        moved = (tensor - begun.get(name, torch.zeros_like(tensor))).numpy()
        if not moved.any():
            continue
        block = next((size for size in blocks if moved.shape[-1] % size == 0), None)
        if moved.ndim == 2 and moved.size >= SMALLEST and block is not None:
            levels = quantize_blocks(moved, 1, block, bits)
            kept[f"{name}:levels"], kept[f"{name}:scales"] = levels.values, levels.scales
        else:
            kept[name] = moved.astype(np.float32)
    content = save(kept, metadata={"note": json.dumps(note)})
    return zstandard.ZstdCompressor(level=19).compress(content)


def decode(content: bytes, begun: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state that ``encode`` was given, to the rounding."""
    kept = load(zstandard.ZstdDecompressor().decompress(content))
    state = dict(begun)
    for name, array in kept.items():
        plain, _, part = name.partition(":")
        if part == "scales":
            continue
        if part == "levels":
            scales = kept[f"{plain}:scales"].astype(np.float32)
            block = array.shape[1] // scales.shape[1]
            array = array.astype(np.float32) * np.repeat(scales, block, axis=1)
        moved = torch.from_numpy(np.ascontiguousarray(array))
        state[plain] = begun[plain] + moved if plain in begun else moved
    return state


def note_of(content: bytes, path: Path) -> Any:
    """Return the note in the content of the file at ``path``.

    Raises:
        SourceError: when it cannot be read.
    """
    try:
        plain = zstandard.ZstdDecompressor().decompress(content)
        length = int.from_bytes(plain[:8], "little")
        return json.loads(json.loads(plain[8 : 8 + length])["__metadata__"]["note"])
    except (ValueError, KeyError, zstandard.ZstdError) as error:
        raise SourceError(
            f"{path} cannot be read as trained weights: {error}. Train them again: "
            f"pesoleve build {path.stem} --train"
        ) from error
