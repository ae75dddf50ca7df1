"""One recipe to one catalog entry, by its task."""

from __future__ import annotations

from . import build_decoder, build_encoder
from .entry import Built
from .recipe import AnyRecipe, Recipe
from .stages import Stages

__all__ = ["Built", "build_recipe", "stage_count"]


def stage_count(recipe: AnyRecipe) -> int:
    """How many stages ``build_recipe`` reports."""
    if isinstance(recipe, Recipe):
        return build_encoder.stage_count(recipe)
    return build_decoder.stage_count(recipe)


def build_recipe(recipe: AnyRecipe, stages: Stages) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Raises:
        SourceError, QualityError: and nothing is published.
    """
    if isinstance(recipe, Recipe):
        return build_encoder.build_encoder(recipe, stages)
    return build_decoder.build_decoder(recipe, stages)
