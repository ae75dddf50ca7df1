"""The lab's committed weights: every model gets the figures that were kept with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.catalog import read
from pesoleve.lab_recipe import ClassifierRecipe, Training
from pesoleve.recipe import bundled, load_recipe
from pesoleve.reduce.chain import TRAINED
from pesoleve.reduce.trained import note_of
from pesoleve_worker.catalog import Model

MODELS = Path(__file__).parents[2] / "site" / "models"
COMMITTED_BYTES = 15_000_000
RECIPES = {
    name: recipe for name in bundled() if isinstance(recipe := load_recipe(name), ClassifierRecipe)
}
TRAINED_RECIPES = [
    name for name, recipe in RECIPES.items() if any(isinstance(s, Training) for s in recipe.reduce)
]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {model.id: model for model in read(MODELS).models}


def test_what_is_committed_is_what_is_needed_and_small() -> None:
    kept = {path.stem: path.stat().st_size for path in TRAINED.glob("*.zst")}
    assert sorted(kept) == sorted(TRAINED_RECIPES)
    assert sum(kept.values()) <= COMMITTED_BYTES
    for name in kept:
        card = (TRAINED / f"{name}.md").read_text(encoding="utf-8")
        assert "license: apache-2.0" in card
        assert RECIPES[name].title.en in card


@pytest.mark.parametrize("name", RECIPES)
def test_a_built_model_gets_the_committed_accuracy(name: str, models: dict[str, Model]) -> None:
    """The graph, evaluated when it was built, against PyTorch when it was trained: at most a text in a
    thousand may be told otherwise."""
    recipe, model = RECIPES[name], models[name]
    measured = model.quality[0]
    assert measured.dataset == f"{recipe.dataset}-test"
    assert measured.dtype == next(iter(recipe.dtypes))
    if name in TRAINED_RECIPES and recipe.shared_base is None:
        kept = note_of((TRAINED / f"{name}.zst").read_bytes(), TRAINED)
        assert measured.value == pytest.approx(kept["accuracy"], abs=0.001)
    assert measured.interval is not None
    assert measured.interval[0] < measured.value < measured.interval[1]
