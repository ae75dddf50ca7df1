"""The recipe: one model, from where its weights come to what is shipped. Unknown keys are errors."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from .errors import RecipeError

RECIPES = Path(__file__).with_name("recipes")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Words = Annotated[str, Field(min_length=1)]
DtypeName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Text(Strict):
    en: Words
    pt_br: Words = Field(alias="pt-BR")


class LicenseRecipe(Strict):
    name: Words
    url: str = Field(pattern=r"^https://")
    attribution: str
    redistributable: bool


class PackageSource(Strict):
    """An installed Python package that carries the model's files in ``path``."""

    kind: Literal["package"]
    name: str
    version: str
    path: str


class DirectorySource(Strict):
    """A local directory in the Hugging Face layout."""

    kind: Literal["directory"]
    path: Path


class HubSource(Strict):
    """A Hugging Face Hub model at a revision (a commit, for a build that can be repeated)."""

    kind: Literal["hub"]
    repo: str
    revision: str


SourceRecipe = Annotated[PackageSource | DirectorySource | HubSource, Field(discriminator="kind")]


class Export(Strict):
    """How the model becomes ONNX."""

    opset: int = Field(default=18, ge=17, le=20)
    max_length: int = Field(ge=2)


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


class CanaryRecipe(Strict):
    inputs: list[str] = Field(min_length=1)
    tolerance: float = Field(gt=0, allow_inf_nan=False)


class Recipe(Strict):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    task: Literal["feature_extraction"]
    title: Text
    summary: Text
    license: LicenseRecipe
    source: SourceRecipe
    export: Export
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


def bundled() -> list[str]:
    """The names of the recipes that come with pesoleve."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """Read a recipe by bundled name or by path.

    Raises:
        RecipeError: naming the key that is wrong and the nearest right one.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = RECIPES / f"{name}.toml"
        if not path.exists():
            raise RecipeError(f"there is no recipe {name!r}{_hint(name, bundled())}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(f"  {_describe(detail)}" for detail in error.errors())
        raise RecipeError(f"recipe {path} is not valid:\n{problems}") from error
    if isinstance(recipe.source, DirectorySource) and not recipe.source.path.is_absolute():
        here = recipe.source.model_copy(update={"path": path.parent / recipe.source.path})
        recipe = recipe.model_copy(update={"source": here})
    return recipe


def _describe(detail: ErrorDetails) -> str:
    where = [str(part) for part in detail["loc"]]
    if detail["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {detail['msg']}"
    *parents, key = where
    return f"{'.'.join(where)}: unknown key{_hint(key, _keys_at(Recipe, parents))}"


def _keys_at(model: Any, parents: list[str]) -> list[str]:
    """The keys a recipe takes at ``parents``, through nested models, unions and dicts."""
    candidates = [model]
    for part in parents:
        found: list[Any] = []
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                if part in candidate.model_fields:
                    found.append(candidate.model_fields[part].annotation)
                elif _tag(candidate) == part:
                    found.append(candidate)
            elif args := get_args(candidate):
                found.append(args[-1])  # the value type of a dict
        candidates = [leaf for item in found for leaf in _leaves(item)]
    return sorted(
        field.alias or name
        for candidate in candidates
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name, field in candidate.model_fields.items()
    )


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    return str(get_args(kind.annotation)[0]) if kind else None


def _leaves(annotation: Any) -> list[Any]:
    if isinstance(annotation, type):
        return [annotation]
    args = get_args(annotation)
    if getattr(annotation, "__origin__", None) is dict:
        return [annotation]
    return [leaf for arg in args for leaf in _leaves(arg)]


def _hint(word: str, right: list[str]) -> str:
    near = difflib.get_close_matches(word, right, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are: {', '.join(right)}" if right else ""
