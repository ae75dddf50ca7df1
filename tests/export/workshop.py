"""Builds of the tiny model over one cache, so that each test pays only for what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pesoleve.build import Built, build_recipe
from pesoleve.catalog import publish
from pesoleve.recipe import Recipe, load_recipe
from pesoleve.stages import Stages
from tests.tiny_recipe import write_recipe

Change = tuple[str, str]


@dataclass(frozen=True)
class Work:
    """A build, and the label of each stage it met: those it ran, and those that were there."""

    built: Built
    ran: list[str]
    cached: list[str]


class Workshop:
    def __init__(self, root: Path, model: Path) -> None:
        self.cache = root / "cache"
        self.model = model
        self._root = root

    def recipe(self, *changes: Change) -> Recipe:
        recipe = load_recipe(str(write_recipe(self._root / "recipe.toml", self.model, *changes)))
        assert isinstance(recipe, Recipe)
        return recipe

    def build(self, *changes: Change) -> Work:
        """Build the recipe with ``changes`` made to its text."""
        met: list[tuple[str, bool]] = []
        stages = Stages(self.cache, lambda label, cached: met.append((label, cached)))
        built = build_recipe(self.recipe(*changes), stages)
        ran = [label for label, cached in met if not cached]
        assert stages.ran == len(ran)
        return Work(built, ran, [label for label, cached in met if cached])

    def publish(self, models: Path, *changes: Change) -> bool:
        built = self.build(*changes).built
        return publish(models, {built.model.id: (built.model, built.packed)})
