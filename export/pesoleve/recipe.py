"""The recipe: one model, from where its weights come to what is shipped. Unknown keys are errors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from .errors import RecipeError
from .lab_recipe import ClassifierRecipe
from .recipe_base import (
    BaseRecipe,
    CanaryRecipe,
    DirectorySource,
    DtypeName,
    GgufSource,
    Strict,
    Words,
)
from .recipe_errors import describe, hint

RECIPES = Path(__file__).with_name("recipes")


class Pooling(Strict):
    """How token vectors become one vector, inside the graph."""

    mode: Literal["mean", "cls"] = "mean"
    normalize: bool = True


class Dtype(Strict):
    """How weights travel. ``bits`` 32 leaves them as they are; else a scale every ``block_size``."""

    bits: Literal[4, 8, 32]
    block_size: Literal[16, 32, 64, 128] = 32
    max_loss: float = Field(default=0.01, ge=0)
    """``build`` refuses the dtype when the metric falls further than this below the reference."""


class Measure(Strict):
    metric: Literal["spearman"]
    dataset: Literal["stsb-test"]
    default_max_loss: float = Field(default=0.005, ge=0)
    """The default dtype is the smallest on the wire that loses at most this against the widest."""


class WeightsDtype(Strict):
    """How a decoder's weights travel.

    ``exact_gguf``  a GGUF's integers as they are
    ``fp32``        as they are
    ``rtn``, ``hqq``  ``bits`` wide, a scale (and minimum) every ``block_size`` weights; the token
                    table, which is also the head, gets ``embedding_bits``
    ``gptq``        calibrated layer by layer, each tensor with the step its sensitivity allows
                    (``quantizers.llama.Settings``); the most sensitive stay as the source has them
    """

    method: Literal["exact_gguf", "fp32", "rtn", "hqq", "gptq"]
    bits: int = Field(default=4, ge=2, le=8)
    block_size: Literal[16, 32, 64, 128] = 32
    embedding_bits: int = Field(default=8, ge=5, le=8)
    linear_loss: float = Field(default=0.03, gt=0)
    embedding_step: float = Field(default=0.45, gt=0)
    kept_mantissa_bits: int = Field(default=10, ge=2, le=10)
    max_kl: float = Field(default=1.0, ge=0)
    """``build`` refuses the dtype when its mean KL from the source, in nats, is larger."""


class TextMeasure(Strict):
    """What a decoder is measured on: ``tokens`` of running text, in windows of ``window``."""

    dataset: Literal["state-of-the-union"]
    tokens: int = Field(default=4096, ge=64)
    window: int = Field(default=512, ge=16)


class HabitsRecipe(Strict):
    """What the model mostly says, counted in so many ``conversations`` of its own, with at most
    ``tokens`` in each answer; the page guesses what follows at least ``least_share`` of the time."""

    conversations: int = Field(default=640, ge=1)
    tokens: int = Field(default=96, ge=2)
    least_share: float = Field(default=0.25, gt=0, le=1)
    seed: int = 0


class DecoderCanary(Strict):
    """Texts to go on from, and how many greedy tokens of what follows are golden."""

    inputs: list[Words] = Field(min_length=1)
    tokens: int = Field(default=6, ge=1)


class Recipe(BaseRecipe):
    """An encoder that turns texts into vectors."""

    task: Literal["feature_extraction"]
    pooling: Pooling = Pooling()
    dtypes: dict[DtypeName, Dtype] = Field(min_length=1)
    measure: Measure
    canary: CanaryRecipe

    @model_validator(mode="after")
    def _has_a_base(self) -> Self:
        if all(dtype.bits != 32 for dtype in self.dtypes.values()):
            raise ValueError("one dtype must have bits = 32: the others are measured against it")
        return self

    @property
    def base_dtype(self) -> str:
        """The unreduced dtype, which every reduction is measured against."""
        return next(name for name, dtype in self.dtypes.items() if dtype.bits == 32)


class DecoderRecipe(BaseRecipe):
    """A causal language model that chats. ``export.max_length`` is the context it is given."""

    task: Literal["text_generation"]
    dtypes: dict[DtypeName, WeightsDtype] = Field(min_length=1)
    default_dtype: str
    measure: TextMeasure
    habits: HabitsRecipe | None = None
    canary: DecoderCanary

    @model_validator(mode="after")
    def _default_is_a_dtype(self) -> Self:
        if self.default_dtype not in self.dtypes:
            raise ValueError(f"default_dtype should be one of {', '.join(self.dtypes)}")
        return self


AnyRecipe = Recipe | DecoderRecipe | ClassifierRecipe
BY_TASK: dict[str, type[AnyRecipe]] = {
    "feature_extraction": Recipe,
    "text_classification": ClassifierRecipe,
    "text_generation": DecoderRecipe,
}


def bundled() -> list[str]:
    """The names of the recipes that come with pesoleve."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str) -> AnyRecipe:
    """Read a recipe by bundled name or by path.

    Raises:
        RecipeError: naming the key that is wrong and the nearest right one.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = RECIPES / f"{name}.toml"
        if not path.exists():
            raise RecipeError(f"there is no recipe {name!r}{hint(name, bundled())}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    model = BY_TASK.get(str(values.get("task")), Recipe)
    try:
        recipe: AnyRecipe = model.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(f"  {describe(detail, model)}" for detail in error.errors())
        raise RecipeError(f"recipe {path} is not valid:\n{problems}") from error
    source = recipe.source
    on_disk = isinstance(source, DirectorySource) or (
        isinstance(source, GgufSource) and source.package is None
    )
    if on_disk and not source.path.is_absolute():  # type: ignore[union-attr]  # both have a path
        here = source.model_copy(update={"path": path.parent / source.path})  # type: ignore[union-attr]
        recipe = recipe.model_copy(update={"source": here})
    return recipe
