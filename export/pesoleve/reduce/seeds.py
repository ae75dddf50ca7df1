"""A recipe trained from several seeds: how much of its figure is luck.

The seed decides the order of the texts, the dropout, and what begins at random. What a recipe begins
with, and who teaches it, stay the ones whose weights are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pesoleve_worker.catalog import Model

from ..errors import RecipeError
from ..lab_recipe import ClassifierRecipe, Training
from ..measurements import KEPT

FILE = "seeds.json"

Build = Callable[[ClassifierRecipe, bool], Model]
"""Builds a recipe, and trains it again where told to."""


def own_seed(recipe: ClassifierRecipe) -> int:
    """Return the seed whose weights are kept.

    Raises:
        RecipeError: when no step of ``recipe`` trains.
    """
    for step in recipe.reduce:
        if isinstance(step, Training):
            return step.seed
    raise RecipeError(f"no step of {recipe.id} trains, so that no seed decides anything")


def with_seed(recipe: ClassifierRecipe, seed: int) -> ClassifierRecipe:
    """Return ``recipe`` with another seed for the step that trains."""
    steps = [
        step.model_copy(update={"seed": seed}) if isinstance(step, Training) else step
        for step in recipe.reduce
    ]
    return recipe.model_copy(update={"reduce": steps})


def accuracy(model: Model, dataset: str) -> float:
    """Return how often the default dtype of ``model`` is right on the test texts of ``dataset``."""
    return next(
        row.value
        for row in model.quality
        if (row.dtype, row.metric, row.dataset) == (model.default_dtype, "accuracy", f"{dataset}-test")
    )


def read(folder: Path = KEPT) -> dict[str, dict[str, float]]:
    """Return what is known: of each recipe the accuracy that each seed reached."""
    path = folder / FILE
    known: dict[str, dict[str, float]] = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    )
    return known


def record(folder: Path, recipe_id: str, reached: Mapping[int, float]) -> None:
    """Write what seeds reached beside the other recipes', in place of what the recipe had."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = read(folder) | {recipe_id: {str(seed): value for seed, value in sorted(reached.items())}}
    content = json.dumps(rows, indent=1, sort_keys=True) + "\n"
    (folder / FILE).write_text(content, encoding="utf-8")


def train_seeds(recipe: ClassifierRecipe, count: int, build: Build) -> dict[int, float]:
    """Return the accuracy that each of ``count`` seeds reached: the recipe's own, whose weights are
    kept, and those after it, which are trained.

    Raises:
        RecipeError: when no step of ``recipe`` trains.
    """
    first = own_seed(recipe)
    return {
        seed: accuracy(build(with_seed(recipe, seed), seed != first), recipe.dataset)
        for seed in range(first, first + count)
    }
