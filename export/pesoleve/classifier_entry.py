"""What a classifier's catalog entry says of it: its parameters, its chain, what each dtype cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pesoleve_worker.catalog import File, LineageStep, Parameters, Quality, Shape

from .entry import wire_bytes
from .errors import QualityError
from .lab_recipe import ClassifierRecipe
from .reduce.encoder import EncoderShape
from .reduce.lineage import ReducedStep


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


def check_quality(recipe: ClassifierRecipe, measured: dict[str, MeasuredDtype]) -> None:
    """Refuse a dtype that is further below the first, widest, than the recipe allows.

    Raises:
        QualityError: with both figures and the bound.
    """
    widest = next(iter(measured.values())).accuracy
    for name, result in measured.items():
        bound = recipe.dtypes[name].max_loss
        if not widest - result.accuracy <= bound:
            raise QualityError(
                f"{recipe.id} in {name} is right in {result.accuracy:.2%} of {result.sets[0].dataset}, "
                f"its widest dtype in {widest:.2%}. dtypes.{name}.max_loss allows {bound:.2%}. "
                f"Use more bits or smaller blocks, or raise the bound if the loss is acceptable."
            )


def quality(measured: dict[str, MeasuredDtype], widest: str) -> list[Quality]:
    """Every figure, beside the widest dtype's own."""
    of_widest = {row.dataset: row.accuracy for row in measured[widest].sets}
    return [
        Quality(
            name,
            "accuracy",
            row.dataset,
            row.n,
            round(row.accuracy, 6),
            round(of_widest.get(row.dataset, row.accuracy), 6),
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
    """The steps that led to the model, then each dtype from the widest."""
    widest, *others = recipe.dtypes
    rows = [
        LineageStep(
            step.technique, widest, step.detail, round(step.quality_before, 6),
            round(step.quality_after, 6), step.bytes_before, step.bytes_after,
        )
        for step in steps
    ]  # fmt: skip
    for name in others:
        dtype = recipe.dtypes[name]
        how = f", {dtype.compute} activations" if dtype.compute != "float" else ""
        scale = (
            f", one fp16 scale for {dtype.block_size} weights" if dtype.bits < 16 and not how else ""
        )
        rows.append(
            LineageStep(
                "quantization",
                name,
                f"{dtype.bits} bits{scale}{how}",
                round(measured[widest].accuracy, 6),
                round(measured[name].accuracy, 6),
                wire_bytes(files, widest),
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
