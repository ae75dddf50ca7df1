"""A student taught by what its teacher answers, and by what it thinks on the way, on texts without
labels.

    loss = T² · KL(softmax(teacher / T) ‖ softmax(student / T)) + mean over layers of
           1 - cos(projection(student's pooled layer), teacher's pooled layer)

Hinton et al. 2015 (https://arxiv.org/abs/1503.02531) for the first, TinyBERT
(https://arxiv.org/abs/1909.10351) for the second, here of layers pooled over their tokens, which can be
computed once and kept. The projections are thrown away afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoder_shape import EncoderShape
from .encoder import Encoded, Encoder, State, build
from .texts import TokenizedTexts
from .training import Report, Schedule, fit

TEMPERATURE = 2.0
BATCH = 64


@dataclass(frozen=True)
class Lessons:
    """What a teacher said of texts: ``logits`` (texts, labels) and ``pooled`` fp16 (texts, layers + 1,
    hidden), layer 0 being the embeddings."""

    logits: Tensor
    pooled: Tensor


def pooled_layers(encoded: Encoded, mask: Tensor) -> Tensor:
    """Return the mean of each layer over the tokens that ``mask`` has, (batch, layers + 1, hidden)."""
    column = mask.to(torch.float32).unsqueeze(-1)
    means = [(hidden * column).sum(1) / column.sum(1) for hidden in encoded.hidden]
    return torch.stack(means, dim=1)


def ask(teacher: Encoder, texts: TokenizedTexts, report: Report) -> Lessons:
    """Return what ``teacher`` says of every text."""
    order = sorted(range(len(texts.ids)), key=lambda index: texts.lengths[index])
    shape = teacher.shape
    logits = torch.empty(len(order), len(shape.labels))
    pooled = torch.empty(len(order), len(shape.layers) + 1, shape.hidden, dtype=torch.float16)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            ids, mask = texts.batch(chosen)
            encoded = teacher(ids, mask)
            logits[chosen] = encoded.logits
            pooled[chosen] = pooled_layers(encoded, mask).half()
            if start % (BATCH * 20) == 0:
                report(f"the teacher has answered {start:,} of {len(order):,} texts")
    return Lessons(logits, pooled)


def distill(
    student: Encoder,
    texts: TokenizedTexts,
    lessons: Lessons,
    schedule: Schedule,
    checkpoint: Path,
    report: Report,
) -> None:
    """Train ``student`` in place."""
    layers, hidden = lessons.pooled.shape[1:]
    own = len(student.shape.layers) + 1
    matched = [round(index * (layers - 1) / (own - 1)) for index in range(own)]
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        projections = nn.ModuleList(nn.Linear(student.shape.hidden, hidden) for _ in matched)
    if student.shape.hidden == hidden:
        for projection in projections:
            nn.init.eye_(projection.weight)
            nn.init.zeros_(projection.bias)
    both = nn.ModuleDict({"student": student, "projections": projections})

    def loss(indices: list[int], _step: int) -> Tensor:
        ids, mask = texts.batch(indices)
        encoded = student(ids, mask)
        answered = functional.log_softmax(encoded.logits / TEMPERATURE, dim=1)
        wanted = functional.log_softmax(lessons.logits[indices] / TEMPERATURE, dim=1)
        divergence = functional.kl_div(answered, wanted, log_target=True, reduction="batchmean")
        pooled = pooled_layers(encoded, mask)
        taught = lessons.pooled[indices].float()
        apart = [
            1 - functional.cosine_similarity(project(pooled[:, at]), taught[:, layer]).mean()
            for at, (project, layer) in enumerate(zip(projections, matched, strict=True))
        ]
        return TEMPERATURE**2 * divergence + torch.stack(apart).mean()

    fit(both, texts.lengths, loss, schedule, checkpoint, report)


def narrow_student(teacher: Encoder, shape: EncoderShape, seed: int) -> Encoder:
    """Return a student of ``shape`` that knows the words: its table is the teacher's, in the directions
    in which that varies most (a singular value decomposition); its layers are random."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = Encoder(shape)
        for parameter in student.encoder.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=shape.hidden**-0.5 / 2)
            elif parameter.ndim == 1 and not torch.all(parameter == 1):
                nn.init.zeros_(parameter)
    table = teacher.embeddings.word_embeddings.weight.detach()
    centred = table - table.mean(0)
    _u, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    narrowed = centred @ directions[: shape.hidden].T
    scale = 1 / sizes[: shape.hidden].square().sum().div(table.numel() / table.shape[1]).sqrt()
    positions = teacher.embeddings.position_embeddings.weight.detach()[: shape.positions]
    narrowed_positions = positions @ directions[: shape.hidden].T
    size = scale * shape.hidden**0.5
    state: State = student.state_dict()
    state["embeddings.word_embeddings.weight"] = narrowed * size
    state["embeddings.position_embeddings.weight"] = narrowed_positions * size
    return build(shape, state)


def shallow_student(teacher: Encoder, kept: list[int]) -> Encoder:
    """Return a student that begins as the teacher with only the layers ``kept``."""
    shape = teacher.shape
    state: State = {}
    for name, tensor in teacher.state_dict().items():
        parts = name.split(".")
        if parts[0] == "encoder":
            if int(parts[2]) not in kept:
                continue
            parts[2] = str(kept.index(int(parts[2])))
        state[".".join(parts)] = tensor
    changed = EncoderShape(
        **{
            **vars(shape),
            "heads": tuple(shape.heads[layer] for layer in kept),
            "intermediate": tuple(shape.intermediate[layer] for layer in kept),
            "layers": tuple(range(len(kept))),
        }
    )
    return build(changed, state)
