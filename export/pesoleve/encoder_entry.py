"""What the measurements of a build say: which dtypes are good enough, and which is the default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors import safe_open

from pesoleve_worker.catalog import File, LineageStep, Parameters, Quality

from .entry import wire_bytes
from .errors import QualityError
from .measure.parity import Parity
from .recipe import Recipe

SMALLEST_BASE_COSINE = 0.99999
"""The unreduced dtype must reproduce transformers' vectors this well on every text."""


@dataclass(frozen=True)
class Measured:
    """One dtype's figures on ``n`` examples, the reference's own, and its canary vectors."""

    n: int
    value: float
    reference_value: float
    parity: Parity
    canary: list[list[float]]

    @property
    def loss(self) -> float:
        """How far the metric fell below the reference; negative when it rose."""
        return self.reference_value - self.value

    @staticmethod
    def from_json(values: dict[str, Any]) -> Measured:
        return Measured(**{**values, "parity": Parity(**values["parity"])})


def check_quality(recipe: Recipe, name: str, measured: Measured) -> None:
    """Refuse a dtype that is further from its reference than the recipe allows.

    Raises:
        QualityError: with both figures and the bound.
    """
    bound = recipe.dtypes[name].max_loss
    if not measured.loss <= bound:
        raise QualityError(
            f"{recipe.id} in {name} scores {measured.value:.4f} ({recipe.measure.metric}, "
            f"{recipe.measure.dataset}) where transformers scores {measured.reference_value:.4f}: it "
            f"loses {measured.loss:.4f}, and dtypes.{name}.max_loss allows {bound:.4f}. "
            f"Use more bits or smaller blocks, or raise the bound if the loss is acceptable."
        )
    if name == recipe.base_dtype and not measured.parity.cosine_min >= SMALLEST_BASE_COSINE:
        raise QualityError(
            f"{recipe.id} in {name} should reproduce transformers, and its worst cosine is "
            f"{measured.parity.cosine_min:.6f} (at least {SMALLEST_BASE_COSINE}). Check 'pooling' and "
            f"'export.max_length'."
        )


def choose_default(recipe: Recipe, measured: dict[str, Measured], files: list[File]) -> str:
    """The smallest dtype on the wire that loses at most ``default_max_loss`` against the base."""
    base = measured[recipe.base_dtype].value
    good = [n for n, m in measured.items() if base - m.value <= recipe.measure.default_max_loss]
    return min(good, key=lambda name: wire_bytes(files, name))


def quality(recipe: Recipe, measured: dict[str, Measured]) -> list[Quality]:
    """Every figure, beside what transformers itself has (1 and 0 for its distance from itself)."""
    rows = []
    for name, result in measured.items():
        figures = (
            (recipe.measure.metric, result.n, result.value, result.reference_value),
            ("cosine_min", 2 * result.n, result.parity.cosine_min, 1.0),
            ("cosine_mean", 2 * result.n, result.parity.cosine_mean, 1.0),
            ("max_difference", 2 * result.n, result.parity.max_difference, 0.0),
        )
        rows += [
            Quality(name, metric, recipe.measure.dataset, n, round(value, 8), round(reference, 8), None)
            for metric, n, value, reference in figures
        ]
    return rows


def lineage(recipe: Recipe, measured: dict[str, Measured], files: list[File]) -> list[LineageStep]:
    """One step for each reduction, from the base."""
    base = recipe.base_dtype
    return [
        LineageStep(
            technique="quantization",
            dtype=name,
            detail=f"{dtype.bits} bits, symmetric, one fp16 scale for {dtype.block_size} weights; "
            f"scale searched for least squared error",
            quality_before=round(measured[base].value, 8),
            quality_after=round(measured[name].value, 8),
            bytes_before=wire_bytes(files, base),
            bytes_after=wire_bytes(files, name),
        )
        for name, dtype in recipe.dtypes.items()
        if name != base
    ]


def count_parameters(source: Path, optimized: onnx.ModelProto) -> Parameters:
    """Count the source's floating-point tensors, and what the optimized graph keeps of them."""
    total = 0
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  safe_open is no mapping
                view = tensors.get_slice(name)
                if view.get_dtype().startswith(("F", "BF")):
                    total += int(np.prod(view.get_shape()))
    sizes = {
        tensor.name: int(np.prod(tensor.dims))
        for tensor in optimized.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 0
    }
    tables = {node.input[0] for node in optimized.graph.node if node.op_type == "Gather"}
    embedding = sum(size for name, size in sizes.items() if name in tables)
    return Parameters(total=total, stored=sum(sizes.values()), embedding=embedding)
