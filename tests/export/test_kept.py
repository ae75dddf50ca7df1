"""The lab's committed weights: every model gets the figures that were kept with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pesoleve.build_classifier import SAMPLE
from pesoleve.catalog import read
from pesoleve.lab_recipe import ClassifierRecipe, Training
from pesoleve.measure import classification, snippets
from pesoleve.measure.embed import embed_built
from pesoleve.measurements import KEPT
from pesoleve.recipe import bundled, load_recipe
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
    kept = {path.stem: path.stat().st_size for path in KEPT.glob("*.zst")}
    assert sorted(kept) == sorted(TRAINED_RECIPES)
    assert sum(kept.values()) <= COMMITTED_BYTES
    for name in kept:
        card = (KEPT / f"{name}.md").read_text(encoding="utf-8")
        assert "license: apache-2.0" in card
        assert RECIPES[name].title.en in card


@pytest.mark.parametrize("name", RECIPES)
def test_a_built_model_has_the_committed_figures(name: str, models: dict[str, Model]) -> None:
    """Another machine's rounding may make other bytes of the same weights, which are measured there:
    one text in a thousand may be told otherwise."""
    model = models[name]
    kept = committed(name)
    built = figures_of(model)
    assert built.keys() == kept.keys() == RECIPES[name].dtypes.keys()
    for dtype, sets in built.items():
        assert sets.keys() == kept[dtype].keys()
        for dataset, accuracy in sets.items():
            assert accuracy == pytest.approx(kept[dtype][dataset]["accuracy"], abs=0.001), dtype
    for row in model.quality:
        assert row.interval is not None
        assert row.interval[0] < row.value < row.interval[1]


@pytest.mark.parametrize("name", RECIPES)
def test_a_built_model_evaluated_again_gets_the_committed_figure(
    name: str, models: dict[str, Model]
) -> None:
    """Over every fourth text, whose figure is kept for this."""
    model = models[name]
    dataset = f"{RECIPES[name].dataset}-test"
    data = snippets.load_labelled(dataset)
    texts, targets = data.texts[::SAMPLE], data.targets[::SAMPLE]
    rows = embed_built(texts, MODELS, model, model.default_dtype)
    kept = committed(name)[model.default_dtype][dataset]["sample"]
    assert classification.accuracy(rows, targets) == pytest.approx(kept, abs=2 / len(texts))


def committed(name: str) -> dict[str, dict[str, dict[str, float]]]:
    """What is kept of a recipe's model, by dtype and data set."""
    rows = json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))
    return {
        dtype: {told["dataset"]: told for told in row["measured"]["sets"]}
        for dtype, row in rows.items()
    }


def figures_of(model: Model) -> dict[str, dict[str, float]]:
    """The accuracies of a model, by dtype and data set."""
    found: dict[str, dict[str, float]] = {}
    for row in model.quality:
        if row.metric == "accuracy":
            found.setdefault(row.dtype, {})[row.dataset] = row.value
    return found


def best(model: Model) -> tuple[float, int]:
    """The accuracy and the wire bytes of a model's default."""
    dtype = model.default_dtype
    bytes_ = sum(file.bytes for file in model.wire_files("wasm", dtype))
    return figures_of(model)[dtype]["movies-test"], bytes_


def test_what_a_few_megabytes_keep_of_the_full_fine_tune(models: dict[str, Model]) -> None:
    """All but one point of it in 5 MB, and all but three in 2 MB."""
    reference, whole = best(models["sentiment-fine-tuned"])
    assert whole > 80e6
    for name, most, points in (("sentiment-5mb", 5e6, 0.01), ("sentiment-2mb", 2e6, 0.03)):
        accuracy, size = best(models[name])
        assert size <= most
        assert accuracy >= reference - points


def test_a_second_task_costs_a_few_hundred_kilobytes(models: dict[str, Model]) -> None:
    model = models["origin-adapter"]
    files = model.wire_files("wasm", model.default_dtype)
    own = [f for f in files if f.path.startswith(f"{model.id}/") and f.role != "tokenizer"]
    assert sum(file.bytes for file in own) < 400_000
    shared = models["minilm-l6"].wire_files("wasm", model.default_dtype)
    assert {f.sha256 for f in files} - {f.sha256 for f in own} <= {f.sha256 for f in shared}


def test_shared_layers_stand_once_on_the_wire(models: dict[str, Model]) -> None:
    shared, whole = models["sentiment-shared"], models["sentiment-fine-tuned"]
    assert shared.parameters.total == whole.parameters.total == whole.parameters.stored
    saved = shared.parameters.total - shared.parameters.stored
    layers = whole.shape.layers
    assert saved % (layers - 1) == 0  # as many times the weights of one layer
    one = saved // (layers - 1)
    left = shared.parameters.stored - shared.parameters.embedding - one
    assert 0 < left < one / 10
