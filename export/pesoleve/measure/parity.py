"""How far one set of vectors is from another, text by text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Parity:
    """Cosines between matching rows, and the largest difference of any component."""

    cosine_min: float
    cosine_mean: float
    max_difference: float


def parity(vectors: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Parity:
    """Compare two (texts, dimensions) arrays row by row."""
    if vectors.shape != reference.shape:
        raise ValueError(f"shapes differ: {vectors.shape} and {reference.shape}")
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Parity(float(cosines.min()), float(cosines.mean()), float(np.abs(a - b).max()))
