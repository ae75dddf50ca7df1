"""Small matrices that look like a layer's weights and inputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pesoleve.blocks import Float


def weights(rows: int = 24, columns: int = 128, seed: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    heavy = rng.standard_t(5, (rows, columns)) * rng.uniform(0.5, 2, (rows, 1)) * 0.05
    return heavy.astype(np.float32)


def correlated_hessian(columns: int = 128, seed: int = 1) -> npt.NDArray[np.float64]:
    """E[x xᵀ] of inputs that share a few directions, some much larger than others."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(2000, columns // 8)) @ rng.normal(size=(columns // 8, columns))
    inputs = (shared + 0.5 * rng.normal(size=shared.shape)) * rng.uniform(0.2, 3, columns)
    hessian: npt.NDArray[np.float64] = inputs.T @ inputs / len(inputs)
    return hessian
