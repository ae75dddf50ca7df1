"""The tiny BERT as the lab's base, a few real snippets, and chains over a cache of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from pesoleve.lab_recipe import ClassifierRecipe
from pesoleve.measure import snippets
from pesoleve.reduce import chain
from pesoleve.reduce.encoder import Encoder, from_bert
from pesoleve.reduce.steps import Candidate
from pesoleve.stages import Stages

FEW = 240

Make = Callable[..., ClassifierRecipe]


@pytest.fixture
def few_snippets(monkeypatch: pytest.MonkeyPatch) -> tuple[snippets.Snippet, ...]:
    """Some of the real ones, of every origin."""
    everything = snippets.load_snippets()
    some = everything[:: len(everything) // FEW]
    monkeypatch.setattr(snippets, "load_snippets", lambda: some)
    return some


@pytest.fixture
def encoder(tiny_model: Path) -> Encoder:
    config = json.loads((tiny_model / "config.json").read_text())
    state = load_file(tiny_model / "model.safetensors")
    model = from_bert(state, config, snippets.SENTIMENT, 64)
    model.eval()
    return model


@pytest.fixture
def candidate(encoder: Encoder, tiny_model: Path) -> Candidate:
    tokenizer = json.loads((tiny_model / "tokenizer.json").read_text())
    return Candidate(encoder, tokenizer | {"truncation": None, "padding": None})


@pytest.fixture
def make(tiny_model: Path) -> Make:
    """Makes a recipe of the tiny model: ``make(id, *steps, **other fields)``."""

    def recipe(name: str, *steps: dict[str, Any], **fields: Any) -> ClassifierRecipe:
        words = {"en": name, "pt-BR": name}
        content = {
            "id": name,
            "task": "text_classification",
            "title": words,
            "summary": words,
            "license": {
                "name": "CC0-1.0",
                "url": "https://creativecommons.org/publicdomain/zero/1.0/",
                "attribution": "the tests",
                "redistributable": True,
            },
            "source": {"kind": "directory", "path": str(tiny_model)},
            "export": {"max_length": 64},
            "reduce": list(steps),
            "dtypes": {"fp32": {"bits": 32, "max_loss": 1}, "q4": {"bits": 4, "max_loss": 1}},
            "default_dtype": "q4",
            "canary": {"inputs": ["a boxer light as a feather"], "tolerance": 0.01},
        }
        return ClassifierRecipe.model_validate(content | fields)

    return recipe


class Lab:
    """Recipes by name, and a cache; trained weights are kept in ``kept``, as in the package."""

    def __init__(self, root: Path) -> None:
        self.kept = root / "kept"
        self.recipes: dict[str, ClassifierRecipe] = {}
        self.met: list[tuple[str, bool]] = []
        self.told: list[str] = []
        self._cache = root / "cache"

    def chain(self, train: str | None = None) -> chain.Chain:
        def report(label: str, cached: bool) -> None:
            self.met.append((label, cached))

        stages = Stages(self._cache, report, self.told.append)

        def no_base(name: str) -> Any:
            raise AssertionError(f"nothing here shares {name}")

        return chain.Chain(stages, self.recipes.__getitem__, no_base, train, self.kept)

    def train(self, recipe: ClassifierRecipe) -> Path:
        """Train the recipe, keep its weights, and return the folder of its model."""
        self.recipes[recipe.id] = recipe
        return self.chain(train=recipe.id).reduce(recipe).output

    def restore(self, recipe: ClassifierRecipe) -> Path:
        """Make the recipe's model of what is kept."""
        self.recipes[recipe.id] = recipe
        return self.chain().reduce(recipe).output


@pytest.fixture
def lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_snippets: tuple[snippets.Snippet, ...]
) -> Lab:
    del few_snippets
    lab = Lab(tmp_path)
    monkeypatch.setattr(chain, "KEPT", lab.kept)
    return lab
