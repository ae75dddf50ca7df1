"""What a classifier's catalog entry says of it: its parameters, its chain, what each dtype cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pesoleve_worker.catalog import File, LineageStep, Parameters, Quality, Shape

from .encoder_shape import EncoderShape
from .entry import wire_bytes
from .errors import QualityError
from .lab_recipe import ClassifierRecipe
from .reduce.lineage import ReducedStep

BASE = "fp32"
"""What the steps of a chain are in; the dtypes come after."""


@dataclass(frozen=True)
class MeasuredSet:
    """Accuracy on one data set, and the bounds that hold it 95 times in 100."""

    dataset: str
    n: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class MeasuredDtype:
    """What one dtype was measured to be."""

    sets: list[MeasuredSet]
    canary: list[list[float]]

    @property
    def accuracy(self) -> float:
        return self.sets[0].accuracy


def check_quality(
    recipe: ClassifierRecipe, reference: float, measured: dict[str, MeasuredDtype]
) -> None:
    """Refuse a dtype that is further below ``reference``, the accuracy in fp32, than the recipe allows.

    Raises:
        QualityError: with both figures and the bound.
    """
    for name, result in measured.items():
        bound = recipe.dtypes[name].max_loss
        if not reference - result.accuracy <= bound:
            raise QualityError(
                f"{recipe.id} in {name} is right in {result.accuracy:.2%} of {result.sets[0].dataset}, "
                f"and in {reference:.2%} before it was quantized. dtypes.{name}.max_loss allows "
                f"{bound:.2%}. Use more bits or smaller blocks, or raise the bound if the loss is "
                f"acceptable."
            )


def quality(reference: float, measured: dict[str, MeasuredDtype]) -> list[Quality]:
    """Every figure, beside ``reference``, the model's own accuracy on the first data set."""
    return [
        Quality(
            name,
            "accuracy",
            row.dataset,
            row.n,
            round(row.accuracy, 6),
            round(reference if row is result.sets[0] else row.accuracy, 6),
            [round(bound, 6) for bound in row.interval],
        )
        for name, result in measured.items()
        for row in result.sets
    ]


def lineage(
    recipe: ClassifierRecipe,
    steps: list[ReducedStep],
    measured: dict[str, MeasuredDtype],
    files: list[File],
) -> list[LineageStep]:
    """The steps that led to the model in fp32, then each dtype of it."""
    rows = [
        LineageStep(
            step.technique, BASE, step.detail, round(step.quality_before, 6),
            round(step.quality_after, 6), step.bytes_before, step.bytes_after,
        )
        for step in steps
    ]  # fmt: skip
    for name, dtype in recipe.dtypes.items():
        if name == BASE:
            continue
        how = f", {dtype.compute} activations" if dtype.compute != "float" else ""
        scale = (
            f", one fp16 scale for {dtype.block_size} weights" if dtype.bits < 16 and not how else ""
        )
        rows.append(
            LineageStep(
                "quantization",
                name,
                f"{dtype.bits} bits{scale}{how}",
                round(steps[-1].quality_after, 6),
                round(measured[name].accuracy, 6),
                steps[-1].bytes_after,
                wire_bytes(files, name),
            )
        )
    return rows


def count_parameters(shape: EncoderShape, state: dict[str, npt.NDArray[np.float32]]) -> Parameters:
    """Count the model as it is applied, and as it is stored: shared layers stand once."""
    stored = sum(int(array.size) for array in state.values())
    per_layer = [
        sum(int(a.size) for n, a in state.items() if n.startswith(f"encoder.layer.{index}."))
        for index in range(len(shape.heads))
    ]
    applied = sum(per_layer[index] for index in shape.layers)
    table = int(state["embeddings.word_embeddings.weight"].size)
    return Parameters(total=stored - sum(per_layer) + applied, stored=stored, embedding=table)


def sizing_shape(shape: EncoderShape) -> Shape:
    """What ``sizing.py`` asks of a shape; of unequal layers, the widest."""
    return Shape(
        family="bert",
        layers=len(shape.layers),
        hidden=shape.hidden,
        heads=max(shape.heads),
        kv_heads=max(shape.heads),
        head_size=shape.head_size,
        intermediate=max(shape.intermediate),
        vocabulary=shape.vocabulary,
        context=shape.positions,
    )
