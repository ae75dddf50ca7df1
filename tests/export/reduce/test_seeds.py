"""How much of a figure is luck: a recipe trained from several seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.build_classifier import build_classifier
from pesoleve.errors import RecipeError
from pesoleve.lab_recipe import ClassifierRecipe
from pesoleve.reduce.seeds import own_seed, read, record, train_seeds
from pesoleve_worker.catalog import Model

from .conftest import Lab, Make

FINE = {"step": "fine_tuning", "epochs": 1, "learning_rate": 1e-3, "batch": 8, "seed": 4}


def test_the_own_seed_is_read_and_the_others_are_trained(lab: Lab, make: Make) -> None:
    recipe = make("fine", FINE)
    lab.train(recipe)
    asked: list[tuple[int, bool]] = []
    answers: list[object] = []

    def build(seeded: ClassifierRecipe, train: bool) -> Model:
        asked.append((own_seed(seeded), train))
        model = build_classifier(seeded, lab.chain(seeded.id if train else None)).model
        answers.append(model.canary)
        return model

    reached = train_seeds(recipe, 3, build)
    assert asked == [(4, False), (5, True), (6, True)]
    assert list(reached) == [4, 5, 6]
    assert answers[0] != answers[1] != answers[2] != answers[0]
    assert all(0 < value < 1 for value in reached.values())


def test_what_was_reached_is_kept_beside_other_recipes(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    record(tmp_path / "kept", "one", {1: 0.8, 0: 0.9})
    record(tmp_path / "kept", "two", {0: 0.7})
    record(tmp_path / "kept", "one", {0: 0.6})
    assert read(tmp_path / "kept") == {"one": {"0": 0.6}, "two": {"0": 0.7}}


def test_a_recipe_that_does_not_train_has_no_seed(make: Make) -> None:
    with pytest.raises(RecipeError, match="no step of sparse trains"):
        own_seed(make("sparse", {"step": "magnitude_pruning", "share": 0.5}))
