"""One recipe to one catalog entry, by its task."""

from __future__ import annotations

from pathlib import Path

from . import build_classifier, build_decoder, build_encoder
from .entry import Built
from .lab_recipe import ClassifierRecipe
from .recipe import AnyRecipe, Recipe, load_recipe
from .stages import Stages

__all__ = ["Built", "build_recipe", "stage_count"]


def stage_count(recipe: AnyRecipe) -> int:
    """How many stages ``build_recipe`` reports."""
    if isinstance(recipe, Recipe):
        return build_encoder.stage_count(recipe)
    if isinstance(recipe, ClassifierRecipe):
        return build_classifier.stage_count(recipe)
    return build_decoder.stage_count(recipe)


def build_recipe(
    recipe: AnyRecipe, stages: Stages, train: bool = False, keep: Path | None = None
) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Args:
        train: train a classifier's own step again, or count a decoder's habits, where they are kept.
        keep: a directory to write the weights to that were trained.

    Raises:
        SourceError, QualityError: and nothing is published.
    """
    if isinstance(recipe, Recipe):
        return build_encoder.build_encoder(recipe, stages)
    if isinstance(recipe, ClassifierRecipe):
        from .reduce.chain import Chain

        chain = Chain(
            stages,
            load_recipe,
            lambda name: build_recipe(load_recipe(name), stages),
            recipe.id if train else None,
            keep,
        )
        return build_classifier.build_classifier(recipe, chain)
    return build_decoder.build_decoder(recipe, stages, train)
