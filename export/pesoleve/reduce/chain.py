"""A recipe's steps, one after another, from the source's model to the one that is exported.

Weights that were trained are read from ``kept/``, where they are there, unless they are to be trained
again; either way the same model comes out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import zstandard
from safetensors.torch import load_file, save_file

from .. import encoder_shape
from ..encoder_shape import EncoderShape
from ..errors import SourceError
from ..lab_recipe import TECHNIQUES, ClassifierRecipe, Lora, QuantizationAware, Training
from ..measure import classification, snippets
from ..measurements import KEPT
from ..sources import resolve
from ..stages import Stage, Stages
from ..torch_kernels import resolve_kernels
from . import (
    distillation,
    encoder,
    fine_tuning,
    lora,
    parameter_sharing,
    pruning,
    quantization,
    steps,
    texts,
    trained,
    training,
    vocabulary_pruning,
)
from .card import model_card
from .lineage import ReducedStep
from .steps import Candidate, Help

MODEL, SHAPE, TOKENIZER, ADAPTER, LINEAGE = (
    "model.safetensors", "shape.json", "tokenizer.json", "adapter.safetensors", "lineage.json",
)  # fmt: skip
CODE = (
    distillation, encoder, encoder_shape, fine_tuning, lora, parameter_sharing, pruning, quantization,
    snippets, steps, texts, trained, training, vocabulary_pruning,
)  # fmt: skip


def read_candidate(folder: Path) -> Candidate:
    """Read a model that a chain left in ``folder``."""
    shape = EncoderShape.from_json(json.loads((folder / SHAPE).read_text(encoding="utf-8")))
    model = encoder.build(shape, load_file(folder / MODEL)).eval()
    return Candidate(model, json.loads((folder / TOKENIZER).read_text(encoding="utf-8")))


def read_lineage(folder: Path) -> list[ReducedStep]:
    """Read what the steps that led to the model in ``folder`` cost."""
    rows = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
    return [ReducedStep(**row) for row in rows]


@dataclass(frozen=True)
class Chain:
    """Reduces recipes; ``load_recipe`` finds those that another begins with or is taught by, and
    ``build_base`` builds the model that one shares.

    ``train`` names the recipe that is to be trained again, if any: its ancestors are read. The weights
    go into ``keep`` too, where that is given.
    """

    stages: Stages
    load_recipe: Any
    build_base: Any
    train: str | None = None
    keep: Path | None = None

    def reduce(self, recipe: ClassifierRecipe) -> Stage:
        """Return the stage that holds the reduced model.

        Raises:
            SourceError: when kept weights are missing or are of another recipe.
        """
        again = recipe.id == self.train
        kept = KEPT / f"{recipe.id}.zst"
        trains = any(isinstance(step, Training) for step in recipe.reduce)
        before = None if recipe.begin is None else self.reduce(self._other(recipe.begin))
        taught_by = {
            name: self.reduce(self._other(name)).key
            for step in recipe.reduce
            if (name := getattr(step, "teacher", None)) is not None and again
        }
        depends_on = {
            "source": resolve(recipe.source).sha256,
            "begin": None if before is None else before.key,
            "steps": [step.model_dump() for step in recipe.reduce],
            "max_length": recipe.export.max_length,
            "dataset": recipe.dataset,
            "kept_bits": recipe.kept_bits,
            "taught_by": taught_by,
            "trained": None if again or not trains else _sha256(kept),
        }
        stage = self.stages.run(
            "reduce",
            f"{recipe.id}: {', '.join(step.step for step in recipe.reduce) or 'as it was'}",
            partial(self._reduce, recipe, before, kept, again),
            code=CODE,
            depends_on=depends_on,
        )
        if again and trains and self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stage.output / kept.name, self.keep / kept.name)
            card = model_card(recipe, read_lineage(stage.output))
            (self.keep / f"{recipe.id}.md").write_text(card, encoding="utf-8")
        return stage

    def _other(self, name: str) -> ClassifierRecipe:
        other = self.load_recipe(name)
        assert isinstance(other, ClassifierRecipe)
        return other

    def _reduce(
        self, recipe: ClassifierRecipe, before: Stage | None, kept: Path, again: bool, output: Path
    ) -> None:
        resolve_kernels()
        torch.set_num_threads(max(2, torch.get_num_threads()))
        candidate, lineage = self._start(recipe, before)
        trains = any(isinstance(step, Training) for step in recipe.reduce)
        note = {} if again or not trains else trained.note_of(kept.read_bytes(), kept)
        for step in recipe.reduce:
            quality = lineage[-1].quality_after if lineage else 1 / len(candidate.model.shape.labels)
            size = lineage[-1].bytes_after if lineage else _fp32_bytes(candidate)
            seed = step.seed if isinstance(step, Training) else 0
            checkpoint = self.stages.root / f"{recipe.id}-{seed}.checkpoint"
            help_ = Help(
                self._lessons, checkpoint, lambda said: self.stages.tell(f"{recipe.id}: {said}")
            )
            if isinstance(step, Training):
                given = lineage[-1].quality_after if lineage else quality
                content = (
                    self._train(step, recipe, candidate, given, help_) if again else kept.read_bytes()
                )
                note = trained.note_of(content, kept)
                begun, _ = steps.begin(step, candidate, note["begun"], help_)
                state = trained.decode(content, steps.training_begins_with(step, begun))
                candidate = steps.finish(step, begun, state)
                after = note["accuracy"]
                if again:
                    (output / kept.name).write_bytes(content)
                if isinstance(step, Lora):
                    save_file({n: t.contiguous() for n, t in state.items()}, output / ADAPTER)
            else:
                candidate, _ = steps.begin(step, candidate, None, help_)
                # Before a step that trains, it was measured when that was trained.
                after = note.get("given") or classification.accuracy_of(
                    candidate, f"{recipe.dataset}-test"
                )
            lineage.append(
                ReducedStep(
                    TECHNIQUES.get(step.step, step.step),
                    steps.describe(step, candidate.model),
                    quality,
                    after,
                    size,
                    _fp32_bytes(candidate),
                )
            )
        state = candidate.model.state_dict()
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, output / MODEL)
        for name, value in (
            (SHAPE, candidate.model.shape.to_json()),
            (TOKENIZER, candidate.tokenizer),
            (LINEAGE, [asdict(row) for row in lineage]),
        ):
            (output / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")

    def _start(
        self, recipe: ClassifierRecipe, before: Stage | None
    ) -> tuple[Candidate, list[ReducedStep]]:
        if before is not None:
            candidate = read_candidate(before.output)
            model = encoder.shortened(candidate.model, recipe.export.max_length)
            return replace(candidate, model=model), read_lineage(before.output)
        source = resolve(recipe.source)
        labels = snippets.LABELS[recipe.dataset]
        state = load_file(source.directory / "model.safetensors")
        try:
            model = encoder.from_bert(
                state, source.read_json("config.json"), labels, recipe.export.max_length
            )
        except ValueError as error:
            raise SourceError(f"{source.locator}: {error}") from error
        tokenizer = source.read_json("tokenizer.json") | {"truncation": None, "padding": None}
        return Candidate(model.eval(), tokenizer), []

    def _train(
        self,
        step: Training,
        recipe: ClassifierRecipe,
        candidate: Candidate,
        given: float,
        help_: Help,
    ) -> bytes:
        begun, note = steps.begin(step, candidate, None, help_)  # type: ignore[arg-type]  # one of Step
        state = steps.train(step, begun, help_)
        start = steps.training_begins_with(step, begun)  # type: ignore[arg-type]
        told = {"begun": note, "given": given}
        # Of weights on levels, those levels are kept.
        bits: int = recipe.kept_bits
        blocks: tuple[int, ...] = trained.BLOCKS
        if isinstance(step, QuantizationAware):
            bits, blocks = step.bits, (step.block_size,)
        content = trained.encode(state, start, bits, told, blocks)
        rounded = steps.finish(step, begun, trained.decode(content, start))  # type: ignore[arg-type]
        accuracy = classification.accuracy_of(rounded, f"{recipe.dataset}-test")
        return trained.encode(state, start, bits, {**told, "accuracy": accuracy}, blocks)

    def _lessons(self, teacher: str) -> distillation.Lessons:
        stage = self.reduce(self._other(teacher))

        def ask(output: Path) -> None:
            candidate = read_candidate(stage.output)
            tokenized = candidate.tokenized(steps.taught_texts())
            lessons = distillation.ask(candidate.model, tokenized, self.stages.tell)
            torch.save((lessons.logits, lessons.pooled), output / "lessons.pt")

        asked = self.stages.run(
            "lessons",
            f"ask the teacher {teacher}",
            ask,
            code=(distillation, texts, snippets),
            depends_on={
                "teacher": _sha256(stage.output / MODEL),
                "tokenizer": _sha256(stage.output / TOKENIZER),
                "variations": steps.VARIATIONS,
            },
        )
        return distillation.Lessons(*torch.load(asked.output / "lessons.pt", weights_only=True))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SourceError(
            f"the trained weights {path} cannot be read: {error.strerror}. Train them again: "
            f"pesoleve build {path.stem} --train"
        ) from error


def _fp32_bytes(candidate: Candidate) -> int:
    packer = zstandard.ZstdCompressor(level=3)
    tensors = candidate.model.state_dict().values()
    return sum(len(packer.compress(tensor.numpy().tobytes())) for tensor in tensors)
