"""What the catalog entry of every kind of model has, and how its files are gathered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from pesoleve_worker.catalog import (
    File,
    License,
    Model,
    Parameters,
    Source,
    Task,
    WeightClass,
)  # fmt: skip
from pesoleve_worker.sizing import weight_class

from . import pack
from .recipe_base import BaseRecipe
from .sources import ModelSource
from .stages import Stage, Stages


@dataclass(frozen=True)
class Built:
    """A model's catalog entry and the directory that holds its packed files."""

    model: Model
    packed: Path


class Identity(TypedDict):
    """What a catalog entry repeats of its recipe and of where its weights come from."""

    id: str
    title: dict[str, str]
    summary: dict[str, str]
    task: Task
    weight_class: WeightClass
    parameters: Parameters
    license: License
    source: Source


def identity(recipe: BaseRecipe, source: ModelSource, parameters: Parameters) -> Identity:
    return Identity(
        id=recipe.id,
        title=recipe.title.model_dump(by_alias=True),
        summary=recipe.summary.model_dump(by_alias=True),
        task=recipe.task,
        weight_class=weight_class(parameters.total),
        parameters=parameters,
        license=License(**recipe.license.model_dump()),
        source=Source(source.kind, source.locator, source.revision, source.sha256),
    )


def gather(packs: list[Stage], stages: Stages, label: str = "gather the packed files") -> Stage:
    """Put what ``packs`` left into one directory, as it is published."""
    return stages.run(
        "gather",
        label,
        partial(pack.gather, [stage.output for stage in packs]),
        code=(pack,),
        depends_on={"packs": [stage.key for stage in packs]},
    )


def wire_bytes(files: list[File], dtype: str) -> int:
    """Graph and weights of ``dtype`` on the wire, without the tokenizer, which all share."""
    return sum(file.bytes for file in files if file.dtype == dtype)
