"""What each step of a recipe does: a model and its tokenizer in, a smaller one out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .. import lab_recipe as recipe
from ..measure.snippets import load_labelled, load_unlabelled
from . import distillation, fine_tuning, lora, parameter_sharing, pruning, quantization
from . import vocabulary_pruning as vocabulary
from .encoder import Encoder, build, reshaped
from .texts import MAX_LENGTH, TokenizedTexts, vary
from .training import Report, Schedule

VARIATIONS = 3
"""Of each text that a student is taught with."""


@dataclass(frozen=True)
class Candidate:
    """A model on its way: with ``tokenizer`` decoded, as ``tokenizer.json`` has it."""

    model: Encoder
    tokenizer: dict[str, Any]

    def tokenized(self, texts: list[str]) -> TokenizedTexts:
        longest = min(MAX_LENGTH, self.model.shape.positions)
        return TokenizedTexts(Tokenizer.from_str(json.dumps(self.tokenizer)), texts, longest)


@dataclass(frozen=True)
class Help:
    """What a step that trains may ask for. ``lessons`` are a teacher's answers to ``taught_texts``."""

    lessons: Callable[[str], distillation.Lessons]
    checkpoint: Path
    report: Report


def taught_texts() -> list[str]:
    """Return the texts that students learn from: without labels, each in several variations."""
    return vary(load_unlabelled(), VARIATIONS, seed=0)


def _schedule(step: recipe.Training) -> Schedule:
    return Schedule(step.epochs, step.learning_rate, step.batch, seed=step.seed)


def begin(step: recipe.Step, start: Candidate, note: Any, help_: Help) -> tuple[Candidate, Any]:
    """Do what a step does before it trains, which is all where it does not.

    Args:
        note: what this returned when the kept weights were trained; None to decide anew.
    """
    model = start.model
    match step:
        case recipe.Pruning():
            if note is None:
                data = load_labelled("movies-train")
                texts = start.tokenized(data.texts)
                kept = pruning.measure_importance(
                    model, texts, data, step.layers, step.heads, step.channels, help_.report
                )
                note = asdict(kept)
            return replace(start, model=pruning.cut(model, pruning.Kept(**note))), note
        case recipe.MagnitudePruning():
            return replace(start, model=pruning.zero_smallest(model, step.share)), None
        case recipe.VocabularyPruning():
            kept_ids = vocabulary.needed_tokens(start.tokenizer, load_unlabelled(), step.tokens)
            pruned = vocabulary.prune_tokenizer(start.tokenizer, kept_ids)
            return Candidate(vocabulary.prune_table(model, kept_ids), pruned), None
        case recipe.ParameterSharing():
            return replace(start, model=parameter_sharing.share_layers(model, step.groups)), None
        case (
            recipe.Distillation(kept=list() as kept_layers)
            | recipe.QuantizationAware(kept=list() as kept_layers)
        ):
            return replace(start, model=distillation.shallow_student(model, kept_layers)), None
        case recipe.Distillation(hidden=int() as hidden, layers=int() as layers):
            shape = reshaped(
                model.shape,
                hidden=hidden,
                head_size=step.head_size,
                heads=(hidden // step.head_size,) * layers,
                intermediate=(4 * hidden,) * layers,
                layers=tuple(range(layers)),
            )
            return replace(start, model=distillation.narrow_student(model, shape, step.seed)), None
    return start, None


def train(step: recipe.Training, begun: Candidate, help_: Help) -> dict[str, Tensor]:
    """Return the state that training reaches; of a ``lora`` step, the adapter's."""
    model = build(begun.model.shape, begun.model.state_dict())
    schedule = _schedule(step)
    if isinstance(step, recipe.FineTuning | recipe.Lora):
        data = load_labelled(f"{step.dataset}-train")
        texts = begun.tokenized(data.texts)
        if isinstance(step, recipe.FineTuning):
            fine_tuning.fine_tune(model, texts, data, schedule, help_.checkpoint, help_.report)
            return dict(model.state_dict())
        adapter = lora.train_adapter(
            model, texts, data, step.rank, schedule, help_.checkpoint, help_.report
        )
        return adapter.to_state()
    assert isinstance(
        step,
        recipe.Pruning | recipe.ParameterSharing | recipe.Distillation | recipe.QuantizationAware,
    )
    texts = begun.tokenized(taught_texts())
    lessons = help_.lessons(step.teacher)
    if isinstance(step, recipe.QuantizationAware):
        model = quantization.quantize_aware(
            model, texts, lessons, step.bits, step.block_size, schedule, help_.checkpoint, help_.report
        )
        model = quantization.round_weights(model, step.bits, step.block_size)
    else:
        # A table that is the teacher's stays so: it knows the words, and costs nothing to keep.
        keeps_table = not (isinstance(step, recipe.Distillation) and step.hidden is not None)
        model.embeddings.requires_grad_(not keeps_table)
        distillation.distill(model, texts, lessons, schedule, help_.checkpoint, help_.report)
    return dict(model.state_dict())


def finish(step: recipe.Step, begun: Candidate, state: dict[str, Tensor]) -> Candidate:
    """Return the model that ``state``, as ``train`` returned it, makes."""
    if isinstance(step, recipe.Lora):
        return replace(begun, model=lora.merge(begun.model, lora.Adapter.from_state(state)))
    return replace(begun, model=build(begun.model.shape, state))


def training_begins_with(step: recipe.Step, begun: Candidate) -> dict[str, Tensor]:
    """Return what kept weights are the distance from: nothing for an adapter, or where training began
    at random. Weights that were trained on their levels are kept on those, and are no distance."""
    at_random = isinstance(step, recipe.Distillation) and step.hidden is not None
    if isinstance(step, recipe.Lora) or at_random:
        return {}
    start = {name: torch.clone(tensor) for name, tensor in begun.model.state_dict().items()}
    if isinstance(step, recipe.QuantizationAware):
        for name in quantization.matrices(begun.model):
            del start[f"{name}.weight"]
    return start


def describe(step: recipe.Step, model: Encoder) -> str:
    """Say in a few words what a step did."""
    match step:
        case recipe.FineTuning():
            return f"every weight, {step.epochs:g} epochs"
        case recipe.Lora():
            return f"adapters of rank {step.rank}, {step.epochs:g} epochs"
        case recipe.Pruning():
            return f"to {step.layers} layers of {step.heads} heads and {step.channels} channels"
        case recipe.MagnitudePruning():
            return f"{step.share:.0%} of each matrix's weights set to 0"
        case recipe.VocabularyPruning():
            return f"to {model.shape.vocabulary:,} tokens"
        case recipe.ParameterSharing():
            return f"{len(model.shape.layers)} layers with the weights of {step.groups}"
        case recipe.QuantizationAware():
            return f"trained with weights in {step.bits} bits, a scale for {step.block_size}"
        case recipe.Distillation():
            return f"a student of {len(model.shape.layers)} layers, {model.shape.hidden} wide"
