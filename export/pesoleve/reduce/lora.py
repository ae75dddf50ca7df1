"""Low-rank adapters (https://arxiv.org/abs/2106.09685), trained by peft: W + B·A · alpha / rank, with B
and A all that is trained and, where the base is shared, all that a further task costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from ..measure.snippets import Labelled
from .encoder import Encoder, State, build
from .fine_tuning import fine_tune
from .texts import TokenizedTexts
from .training import Report, Schedule

TARGETS = ("attention.output.dense", "intermediate.dense", "output.dense")
"""The projections that stand alone in the fused graph, so that an adapter can be added beside them
there. The others are inside the attention operator."""

ALPHA_PER_RANK = 2


@dataclass(frozen=True)
class Adapter:
    """By the name of a projection: ``down`` (rank, in) and ``up`` (out, rank), the scale already in
    ``up``. ``classifier`` is the task's own head."""

    down: dict[str, torch.Tensor]
    up: dict[str, torch.Tensor]
    classifier: State

    def to_state(self) -> State:
        """Return all tensors by name; ``from_state`` reads it."""
        downs = {f"{name}.down": tensor for name, tensor in self.down.items()}
        ups = {f"{name}.up": tensor for name, tensor in self.up.items()}
        return {**downs, **ups, **self.classifier}

    @staticmethod
    def from_state(state: State) -> Adapter:
        def of(kind: str) -> State:
            return {n.removesuffix(kind): tensor for n, tensor in state.items() if n.endswith(kind)}

        classifier = {n: tensor for n, tensor in state.items() if n.startswith("classifier.")}
        return Adapter(of(".down"), of(".up"), classifier)


def train_adapter(
    model: Encoder,
    texts: TokenizedTexts,
    data: Labelled,
    rank: int,
    schedule: Schedule,
    checkpoint: Path,
    report: Report,
) -> Adapter:
    """Train an adapter and a head for ``data`` on ``model``, whose own weights stay."""
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA_PER_RANK * rank,
        target_modules=list(TARGETS),
        modules_to_save=["classifier"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        adapted: PeftModel = get_peft_model(model, config)
    fine_tune(adapted, texts, data, schedule, checkpoint, report)
    down, up, classifier = {}, {}, {}
    for name, tensor in adapted.state_dict().items():
        plain = name.removeprefix("base_model.model.")
        if ".lora_A." in plain:
            down[plain.split(".lora_A.")[0]] = tensor.clone()
        elif ".lora_B." in plain:
            up[plain.split(".lora_B.")[0]] = tensor * ALPHA_PER_RANK
        elif "modules_to_save" in plain:
            classifier[plain.replace("modules_to_save.default.", "")] = tensor.clone()
    adapted.unload()
    return Adapter(down, up, classifier)


def merge(model: Encoder, adapter: Adapter) -> Encoder:
    """Return ``model`` with the adapter added to its weights: no larger and no slower than it was."""
    state = model.state_dict()
    for name, down in adapter.down.items():
        state[f"{name}.weight"] = state[f"{name}.weight"] + adapter.up[name] @ down
    return build(model.shape, {**state, **adapter.classifier})
