"""The recipe of a classifier in the reduction lab: where it begins, and the steps that make it
smaller."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .recipe_base import BaseRecipe, CanaryRecipe, DtypeName, Strict

Bits = Literal[2, 3, 4, 8, 16, 32]


class Training(Strict):
    """How long and how fast; ``seed`` decides the order, the dropout and what begins at random."""

    epochs: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    batch: int = Field(default=32, ge=1)
    seed: int = Field(default=0, ge=0)


class FineTuning(Training):
    """Every weight, on the labelled texts of ``dataset``."""

    step: Literal["fine_tuning"]
    dataset: Literal["movies", "origin"] = "movies"


class Lora(Training):
    """An adapter of low ``rank``, on the labelled texts of ``dataset``."""

    step: Literal["lora"]
    dataset: Literal["movies", "origin"] = "movies"
    rank: int = Field(ge=1, le=64)


class Pruning(Training):
    """The ``layers``, and in each the ``heads`` and ``channels``, that the task needs most; then taught
    by ``teacher``."""

    step: Literal["pruning"]
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    channels: int = Field(ge=16)
    teacher: str


class MagnitudePruning(Strict):
    """The ``share`` of each matrix's weights that is smallest becomes 0."""

    step: Literal["magnitude_pruning"]
    share: float = Field(gt=0, lt=1)


class VocabularyPruning(Strict):
    """At most ``tokens`` rows of the token table."""

    step: Literal["vocabulary_pruning"]
    tokens: int = Field(ge=16)


class Distillation(Training):
    """A student: the ``teacher``'s ``kept`` layers, or ``layers`` of width ``hidden`` that begin at
    random."""

    step: Literal["distillation"]
    teacher: str
    kept: list[int] | None = None
    hidden: int | None = None
    head_size: int = 32
    layers: int | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        narrow = self.hidden is not None and self.layers is not None
        if (self.kept is None) != narrow:
            raise ValueError("give either 'kept', or 'hidden' and 'layers'")
        return self


class ParameterSharing(Training):
    """The layers share weights in ``groups``; then taught by ``teacher``."""

    step: Literal["parameter_sharing"]
    groups: int = Field(ge=1)
    teacher: str


class QuantizationAware(Training):
    """Trained with the weights in ``bits``, taught by ``teacher``; with the layers ``kept`` alone, if
    those are given."""

    step: Literal["quantization_aware"]
    kept: list[int] | None = None
    bits: Literal[2, 3, 4]
    block_size: Literal[16, 32, 64, 128]
    teacher: str


Step = Annotated[
    FineTuning
    | Lora
    | Pruning
    | MagnitudePruning
    | VocabularyPruning
    | Distillation
    | ParameterSharing
    | QuantizationAware,
    Field(discriminator="step"),
]

TECHNIQUES = {
    "magnitude_pruning": "pruning",
    "quantization_aware": "quantization",
}
"""What the catalog calls a step, where that is not its own name."""


class ClassifierDtype(Strict):
    """How weights travel. ``compute`` is ``float`` where they are folded when the session opens;
    ``dynamic`` multiplies 8-bit integers, with the scales of activations measured at each run;
    ``static`` does with those that it measured on training texts when it was built."""

    bits: Bits
    block_size: Literal[16, 32, 64, 128] = 32
    compute: Literal["float", "dynamic", "static"] = "float"
    max_loss: float = Field(default=0.01, ge=0)
    """``build`` refuses the dtype when accuracy falls further than this below the unreduced dtype's."""

    @model_validator(mode="after")
    def _integers_are_bytes(self) -> Self:
        if self.compute != "float" and self.bits != 8:
            raise ValueError(f"compute = {self.compute!r} wants bits = 8")
        return self


class ClassifierRecipe(BaseRecipe):
    """A classifier of short texts, made from ``source`` by the steps of ``reduce``."""

    task: Literal["text_classification"]
    begin: str | None = None
    """Another recipe whose reduced model this one begins with."""
    reduce: list[Step] = Field(default_factory=list)
    dataset: Literal["movies", "origin"] = "movies"
    shared_base: str | None = None
    """A recipe whose model's weights this one shares, dtype by dtype: only the adapter is added."""
    kept_bits: int = Field(default=4, ge=2, le=8)
    """Of each weight of a matrix, in the committed file, beyond where its training began."""
    dtypes: dict[DtypeName, ClassifierDtype] = Field(min_length=1)
    default_dtype: str
    canary: CanaryRecipe

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.default_dtype not in self.dtypes:
            raise ValueError(f"default_dtype should be one of {', '.join(self.dtypes)}")
        if sum(isinstance(step, Training) for step in self.reduce) > 1:
            raise ValueError("one step of a recipe can train; begin with another recipe for more")
        if self.begin is None and not self.reduce:
            raise ValueError("give 'begin', or a step in 'reduce'")
        if self.shared_base is not None and not any(isinstance(step, Lora) for step in self.reduce):
            raise ValueError("'shared_base' wants a step 'lora': its adapter is what is added")
        return self
