"""The model card that stands beside kept weights: what they are, of what they were made, what they can
do.

In the form that the Hugging Face Hub reads (https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

from ..lab_recipe import ClassifierRecipe
from .lineage import ReducedStep

DATA = {
    "movies": "snippets of film reviews that people rated clearly, at least 1 of 4 from neutral",
    "origin": "snippets of film reviews, product reviews, editorials and tweets",
}


def model_card(recipe: ClassifierRecipe, steps: list[ReducedStep]) -> str:
    """Return the card of the weights that ``recipe`` trains; ``steps`` led to them."""
    rows = [
        f"| {step.technique} | {step.detail} | {step.quality_before:.4f} | {step.quality_after:.4f} |"
        for step in steps
    ]
    trained = f"Begun with `{recipe.begin}`. " if recipe.begin else ""
    lines = [
        "---",
        "license: apache-2.0",
        "language: en",
        "pipeline_tag: text-classification",
        "base_model: sentence-transformers/all-MiniLM-L6-v2",
        "---",
        "",
        f"# {recipe.id}: {recipe.title.en}",
        "",
        recipe.summary.en,
        "",
        f"{trained}Trained on {DATA[recipe.dataset]}: Hutto and Gilbert, VADER (ICWSM 2014), MIT.",
        "Made for the reduction lab of Peso Leve, to show what a megabyte buys; it knows English",
        "alone, and no other kind of text than it was trained on.",
        "",
        "| step | | accuracy before | after |",
        "|---|---|---:|---:|",
        *rows,
        "",
        f"Accuracy on `{recipe.dataset}-test`, which nothing was trained on: see",
        "`pesoleve.measure.snippets`. The file holds how far training moved each weight;",
        "`pesoleve build` makes the model of it, and",
        f"`pesoleve build {recipe.id} --train` trains it again.",
    ]
    return "\n".join(lines) + "\n"
