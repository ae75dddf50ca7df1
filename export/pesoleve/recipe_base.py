"""What every recipe says: what it is called, where its weights come from, under what licence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pesoleve_worker.catalog import Task


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Words = Annotated[str, Field(min_length=1)]
DtypeName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Text(Strict):
    en: Words
    pt_br: Words = Field(alias="pt-BR")


class LicenseRecipe(Strict):
    name: Words
    url: str = Field(pattern=r"^https://")
    attribution: str
    redistributable: bool


class PackageSource(Strict):
    """An installed Python package that carries the model's files in ``path``."""

    kind: Literal["package"]
    name: str
    version: str
    path: str


class DirectorySource(Strict):
    """A local directory in the Hugging Face layout."""

    kind: Literal["directory"]
    path: Path


class HubSource(Strict):
    """A Hugging Face Hub model at a revision (a commit, for a build that can be repeated)."""

    kind: Literal["hub"]
    repo: str
    revision: str


class GgufSource(Strict):
    """A GGUF file: ``path`` on disk, or inside an installed ``package`` of ``version``."""

    kind: Literal["gguf"]
    path: Path
    package: str | None = None
    version: str | None = None

    @model_validator(mode="after")
    def _package_has_a_version(self) -> Self:
        if (self.package is None) != (self.version is None):
            raise ValueError("'package' and 'version' go together")
        return self


SourceRecipe = Annotated[
    PackageSource | DirectorySource | HubSource | GgufSource, Field(discriminator="kind")
]


class Export(Strict):
    """How the model becomes ONNX."""

    opset: int = Field(default=18, ge=17, le=20)
    max_length: int = Field(ge=2)


class CanaryRecipe(Strict):
    inputs: list[str] = Field(min_length=1)
    tolerance: float = Field(gt=0, allow_inf_nan=False)


class BaseRecipe(Strict):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    task: Task
    title: Text
    summary: Text
    license: LicenseRecipe
    source: SourceRecipe
    export: Export
