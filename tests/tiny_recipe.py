"""A recipe for the tiny model, as text, with one line changed where a test wants it."""

from __future__ import annotations

from pathlib import Path

RECIPE = """\
id = "tiny-bert"
task = "feature_extraction"

[title]
en = "Tiny: sentences to vectors"
pt-BR = "Miúdo: de frases a vetores"

[summary]
en = "Random weights."
pt-BR = "Pesos aleatórios."

[license]
name = "CC0-1.0"
url = "https://creativecommons.org/publicdomain/zero/1.0/"
attribution = "the tests"
redistributable = true

[source]
kind = "directory"
path = "{model}"

[export]
max_length = 24

[pooling]
mode = "mean"
normalize = true

[dtypes.fp32]
bits = 32
max_loss = 1

[dtypes.q8]
bits = 8
block_size = 64
max_loss = 1

[dtypes.q4]
bits = 4
block_size = 32
max_loss = 1

[measure]
metric = "spearman"
dataset = "stsb-test"
default_max_loss = 1

[canary]
inputs = ["a man is playing a guitar", "how much is a feather"]
tolerance = 0.002
"""


def write_recipe(path: Path, model: Path | str, *changes: tuple[str, str]) -> Path:
    """Write the recipe with each (old, new) of ``changes`` made once; return ``path``."""
    text = RECIPE.format(model=model)
    for old, new in changes:
        assert old in text, f"the recipe has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path
