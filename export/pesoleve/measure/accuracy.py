"""How well vectors do the task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr


def spearman(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], scores: list[float]
) -> float:
    """Spearman's ρ between the cosine of each pair of rows and the human scores, as STS-B is scored."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(spearmanr(cosines, scores).statistic)
