"""A recipe for a tiny decoder, as text, with one line changed where a test wants it."""

from __future__ import annotations

from pathlib import Path

RECIPE = """\
id = "tiny-llama"
task = "text_generation"
default_dtype = "q4_1"

[title]
en = "Tiny: a conversation"
pt-BR = "Miúdo: uma conversa"

[summary]
en = "Random weights."
pt-BR = "Pesos aleatórios."

[license]
name = "CC0-1.0"
url = "https://creativecommons.org/publicdomain/zero/1.0/"
attribution = "the tests"
redistributable = true

[source]
kind = "gguf"
path = "{model}"

[export]
max_length = 128

[dtypes.q4_1]
method = "exact_gguf"
max_kl = 0.000001

[dtypes.fp32]
method = "fp32"
max_kl = 0.000001

[measure]
dataset = "state-of-the-union"
tokens = 128
window = 64

[habits]
conversations = 3
tokens = 6
least_share = 0.1

[canary]
inputs = ["How much does a feather weigh?", "Peso leve!"]
tokens = 4
"""


def write_decoder_recipe(path: Path, model: Path | str, *changes: tuple[str, str]) -> Path:
    """Write the recipe with each (old, new) of ``changes`` made once; return ``path``."""
    text = RECIPE.format(model=model)
    for old, new in changes:
        assert old in text, f"the recipe has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path
