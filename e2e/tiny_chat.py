"""A tiny Llama with random weights, built by pesoleve itself from a GGUF, for the page to load."""

from __future__ import annotations

from pathlib import Path

from tests.tiny_decoder_recipe import write_decoder_recipe
from tests.tiny_gguf import write_gguf
from tests.tiny_llama import write_tiny_llama

from pesoleve.build import build_recipe
from pesoleve.catalog import publish
from pesoleve.recipe import load_recipe
from pesoleve.stages import Stages
from pesoleve_worker.catalog import Model

ID = "tiny-llama"


def build_tiny_chat(root: Path) -> Model:
    """Put the model and its catalog into ``root / "models"``; return its entry.

    Its linears travel in Q4_1 and its table, which is the head too, in Q8_0, as small models do.
    """
    write_tiny_llama(root / "llama")
    gguf = root / "tiny-llama.Q4_1.gguf"
    write_gguf(gguf, root / "llama", lambda name: "Q8_0" if name.startswith("token_embd") else "Q4_1")
    recipe = load_recipe(str(write_decoder_recipe(root / "recipe.toml", gguf)))
    built = build_recipe(recipe, Stages(root / "cache", lambda _label, _cached: None))
    publish(root / "models", {built.model.id: (built.model, built.packed)})
    return built.model
