"""Each technique, trained end to end at toy scale, kept, and restored to the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pesoleve.build_classifier import build_classifier
from pesoleve.errors import SourceError
from pesoleve.reduce import chain
from pesoleve.reduce.training import Schedule, fit

from .conftest import Lab, Make

FINE = {"step": "fine_tuning", "epochs": 2, "learning_rate": 1e-3, "batch": 8}
TAUGHT = {"teacher": "fine", "epochs": 0.1, "learning_rate": 1e-3}
STEPS: dict[str, dict[str, Any]] = {
    "lora": {"step": "lora", "rank": 2, "epochs": 1, "learning_rate": 1e-3},
    "pruning": {"step": "pruning", "layers": 1, "heads": 2, "channels": 64, **TAUGHT},
    "distilled": {
        "step": "distillation", "hidden": 32, "layers": 2, "head_size": 16, **TAUGHT,
    },
    "shallow": {"step": "distillation", "kept": [1], **TAUGHT},
    "shared": {"step": "parameter_sharing", "groups": 1, **TAUGHT},
    "aware": {"step": "quantization_aware", "bits": 3, "block_size": 32, **TAUGHT},
}  # fmt: skip


def same(first: Path, second: Path) -> bool:
    ours, theirs = load_file(first / chain.MODEL), load_file(second / chain.MODEL)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.fixture
def teacher(lab: Lab, make: Make) -> Path:
    return lab.train(make("fine", FINE))


@pytest.mark.parametrize("name", STEPS)
def test_a_technique_trains_and_is_restored(lab: Lab, make: Make, teacher: Path, name: str) -> None:
    recipe = make(name, STEPS[name], begin=None if name == "lora" else "fine", kept_bits=6)
    trained = lab.train(recipe)
    restored = lab.restore(recipe)
    assert trained != restored  # each was made for itself
    assert same(trained, restored)
    assert chain.read_lineage(trained) == chain.read_lineage(restored)
    begun, ended = load_file(teacher / chain.MODEL), load_file(trained / chain.MODEL)
    assert begun.keys() != ended.keys() or any(not torch.equal(begun[n], ended[n]) for n in begun)
    assert any("of" in said and "loss" in said for said in lab.told)
    built = build_classifier(recipe, lab.chain()).model
    assert [step.technique for step in built.lineage][-1] == "quantization"
    assert built.quality[0].metric == "accuracy"
    assert built.quality[0].interval is not None


def test_steps_that_do_not_train_need_no_kept_weights(lab: Lab, make: Make, teacher: Path) -> None:
    sparse = lab.restore(make("sparse", {"step": "magnitude_pruning", "share": 0.5}, begin="fine"))
    weight = load_file(sparse / chain.MODEL)["encoder.layer.0.intermediate.dense.weight"]
    assert 0.49 < (weight == 0).float().mean() < 0.51
    words = {"step": "vocabulary_pruning", "tokens": 100}
    short = lab.restore(make("short", words, begin="fine"))
    table = load_file(short / chain.MODEL)["embeddings.word_embeddings.weight"]
    tokenizer = json.loads((short / chain.TOKENIZER).read_text())
    assert (
        len(tokenizer["model"]["vocab"])
        == len(table)
        < len(load_file(teacher / chain.MODEL)["embeddings.word_embeddings.weight"])
    )


def test_kept_weights_that_are_missing_or_damaged_are_named(
    lab: Lab, make: Make, teacher: Path
) -> None:
    del teacher
    with pytest.raises(SourceError, match=r"gone\.zst cannot be read.*pesoleve build gone --train"):
        lab.restore(make("gone", FINE))
    kept = lab.kept / "fine.zst"
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(SourceError, match=r"fine\.zst cannot be read as trained weights"):
        lab.restore(lab.recipes["fine"])


def test_an_interrupted_training_ends_where_it_would_have(tmp_path: Path) -> None:
    lengths = [3, 5, 4, 6, 2, 7, 3, 4]
    values = torch.arange(8.0).unsqueeze(1)

    def train(checkpoint: Path, interrupt_at: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))

        def loss(indices: list[int], step: int) -> torch.Tensor:
            if step == interrupt_at:
                raise KeyboardInterrupt
            return (model(values[indices]) - values[indices]).square().mean()

        fit(model, lengths, loss, Schedule(4, 0.05, batch=2), checkpoint, lambda _said: None)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    straight = train(tmp_path / "a.checkpoint", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pesoleve.reduce.training.CHECKPOINT_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "b.checkpoint", 7)
    assert (tmp_path / "b.checkpoint").exists()
    assert torch.equal(train(tmp_path / "b.checkpoint", None), straight)
    assert not (tmp_path / "b.checkpoint").exists()
