"""Where weights come from; one file a kind of source."""

from __future__ import annotations

from ..recipe_base import DirectorySource, GgufSource, HubSource, PackageSource, SourceRecipe
from .directory import from_directory
from .files import ModelSource
from .gguf_file import from_gguf
from .hub import from_hub
from .package import from_package

__all__ = ["ModelSource", "resolve"]


def resolve(source: SourceRecipe) -> ModelSource:
    """Find the source's files and check that they are whole, or raise SourceError."""
    match source:
        case PackageSource():
            return from_package(source)
        case DirectorySource():
            return from_directory(source)
        case HubSource():
            return from_hub(source)
        case GgufSource():
            return from_gguf(source)
