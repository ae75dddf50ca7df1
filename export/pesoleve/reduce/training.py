"""Training on a CPU: batches of like length, AdamW with warm-up and linear decay, and a checkpoint from
which an interrupted run goes on to the very weights that it would have reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

Report = Callable[[str], None]
Loss = Callable[[list[int], int], Tensor]
"""Of the examples at these indices, at this step."""

CHECKPOINT_SECONDS = 60
SORTED_TOGETHER = 50
"""Batches whose examples are sorted by length among themselves: little padding, and still a shuffle."""


@dataclass(frozen=True)
class Schedule:
    """``epochs`` may be a fraction; ``warmup`` is a share of all steps."""

    epochs: float
    learning_rate: float
    batch: int = 32
    warmup: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0


def batches(lengths: Sequence[int], size: int, seed: int) -> Iterator[list[int]]:
    """Yield every index once, in batches of about equal length, in an order that ``seed`` decides."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    window = size * SORTED_TOGETHER
    cut: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda index: lengths[index])
        cut += [near[at : at + size] for at in range(0, len(near), size)]
    for place in torch.randperm(len(cut), generator=generator).tolist():
        yield cut[place]


def fit(
    model: nn.Module,
    lengths: Sequence[int],
    loss_of: Loss,
    schedule: Schedule,
    checkpoint: Path,
    report: Report,
) -> None:
    """Train the parameters of ``model`` that want a gradient, and leave it in evaluation mode.

    Args:
        lengths: of each example, in tokens.
        checkpoint: written every minute, read when it is there, and removed at the end.
        report: told where the training is, about once a second.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # A table's rows that no text uses stay as they are, which costs nothing to keep (trained.py).
    decayed = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.ndim > 1 and "embeddings" not in name
    ]
    others = [parameter for parameter in trained if all(parameter is not other for other in decayed)]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=schedule.learning_rate,
        fused=True,
    )
    an_epoch = -(-len(lengths) // schedule.batch)
    total = max(1, round(an_epoch * schedule.epochs))
    done = _resume(model, optimizer, checkpoint)
    started, kept, told, average = time.monotonic(), time.monotonic(), 0.0, 0.0
    first = done
    model.train()
    while done < total:
        order = list(batches(lengths, schedule.batch, schedule.seed * 1000 + done // an_epoch))
        for chosen in order[done % an_epoch :][: total - done]:
            rate = schedule.learning_rate * _slope(done, total, schedule.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            torch.manual_seed(schedule.seed * 1_000_003 + done)  # dropout, the same after a resume
            loss = loss_of(chosen, done)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            done += 1
            average = loss.item() if average == 0 else 0.98 * average + 0.02 * loss.item()
            now = time.monotonic()
            if now - told > 1:
                told = now
                left = (now - started) / (done - first) * (total - done)
                report(f"step {done:,} of {total:,}, loss {average:.3f}, {left / 60:.1f} min left")
            if now - kept > CHECKPOINT_SECONDS:
                kept = now
                _keep(model, optimizer, done, checkpoint)
    model.eval()
    checkpoint.unlink(missing_ok=True)


def _slope(step: int, total: int, warmup: float) -> float:
    rising = max(1, round(total * warmup))
    return min((step + 1) / rising, (total - step) / max(1, total - rising), 1.0)


def _keep(model: nn.Module, optimizer: torch.optim.Optimizer, done: int, checkpoint: Path) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    values = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}
    torch.save(values, partial)
    partial.replace(checkpoint)


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    values = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(values["model"])
    optimizer.load_state_dict(values["optimizer"])
    return int(values["done"])
