"""What a model is in the habit of saying: the tokens that mostly follow two others in its answers.

A page guesses by them (``pesoleve_worker.generation.ngrams``): a guess that is right costs a language
model next to nothing, and one that is wrong changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from pesoleve_worker.catalog import TextGeneration
from pesoleve_worker.generation.ngrams import ANY

from . import pack, self_talk
from .errors import SourceError
from .recipe import DecoderRecipe
from .sources import ModelSource
from .stages import Stage, Stages

HABITS = "habits.bin"

Row = tuple[int, int, int]
"""The first of two tokens, or ``ANY``; the second; the one that mostly follows."""


def learn_habits(
    recipe: DecoderRecipe,
    source: ModelSource,
    directory: Path,
    pipeline: TextGeneration,
    stages: Stages,
    again: bool = False,
) -> Stage | None:
    """What the model mostly says, packed: as it is kept, or, if it is not or ``again``, counted.

    Raises:
        SourceError: when what is kept is of another model or recipe.
    """
    if recipe.habits is None:
        return None
    asked = recipe.habits
    of = {"source": source.sha256, "habits": asked.model_dump()}
    kept = None if again else read_kept(recipe.id, of, stages.measurements.folder)

    def work(output: Path) -> None:
        content = kept
        if content is None:
            talked = self_talk.talk(
                directory, pipeline, asked.conversations, asked.tokens, asked.seed, stages.tell
            )
            content = to_bytes(count_habits(talked, asked.least_share))
        (output / HABITS).write_bytes(content)
        pack.write_list(pack.pack(content, "ngrams", None, recipe.id, output), output)

    stage = stages.run(
        "habits",
        "learn what the model often says" if kept is None else "read what the model often says",
        work,
        code=(pack,) if kept is not None else (sys.modules[__name__], self_talk, pack),
        depends_on={
            **of,
            "id": recipe.id,
            "pipeline": asdict(pipeline),
            "kept": None if kept is None else hashlib.sha256(kept).hexdigest(),
        },
    )
    if stages.measurements.keep is not None:
        content = (stage.output / HABITS).read_bytes()
        write_kept(recipe.id, of, content, stages.measurements.keep)
    return stage


def count_habits(texts: Iterable[Sequence[int]], least_share: float) -> list[Row]:
    """Return of each pair of tokens, and of each token, what follows it often enough.

    What was seen m times in n counts as a share of m / (n + 1): once in one time is half sure. A pair
    that says no more than its second token does is left out.

    Args:
        texts: token ids.
        least_share: of all that followed; less is not worth a guess.
    """
    after_one: defaultdict[int, Counter[int]] = defaultdict(Counter)
    after_two: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for ids in texts:
        for first, second in pairwise(ids):
            after_one[first][second] += 1
        for first, second, third in zip(ids, ids[1:], ids[2:], strict=False):
            after_two[first, second][third] += 1

    def mostly(counts: Counter[int]) -> int | None:
        token, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
        return token if most >= least_share * (counts.total() + 1) else None

    # Once in one time is no habit of a single token.
    known = {one: mostly(counts) for one, counts in after_one.items() if counts.total() > 1}
    rows = [(ANY, one, token) for one, token in known.items() if token is not None]
    for (first, second), counts in after_two.items():
        token = mostly(counts)
        if token is not None and token != known.get(second):
            rows.append((first, second, token))
    return sorted(rows)


def to_bytes(rows: Sequence[Row]) -> bytes:
    """Return the three columns, as ``Ngrams.parse`` reads them."""
    return np.array(rows, "<u4").reshape(-1, 3).T.tobytes()


def read_kept(model_id: str, of: dict[str, Any], folder: Path) -> bytes | None:
    """Return the habits that are kept of a model, or None if there are none.

    Args:
        of: JSON that says what they should be of.

    Raises:
        SourceError: when they are of something else, or damaged.
    """
    path = _path(folder, model_id)
    if not path.exists():
        return None
    remedy = f"Count the habits again: pesoleve build {model_id} --train --keep {folder}"
    try:
        note, content = zstandard.ZstdDecompressor().decompress(path.read_bytes()).split(b"\n", 1)
        known = json.loads(note)
    except (zstandard.ZstdError, ValueError) as error:
        raise SourceError(f"{path.name} is damaged: {error}. {remedy}") from error
    if known != of:
        raise SourceError(f"{path.name} is of another model or recipe. {remedy}")
    return content


def write_kept(model_id: str, of: dict[str, Any], content: bytes, folder: Path) -> None:
    """Write habits to ``folder``, with what they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    note = json.dumps(of, sort_keys=True).encode()
    wire = zstandard.ZstdCompressor(level=19).compress(note + b"\n" + content)
    _path(folder, model_id).write_bytes(wire)


def _path(folder: Path, model_id: str) -> Path:
    return folder / f"{model_id}.ngrams"
