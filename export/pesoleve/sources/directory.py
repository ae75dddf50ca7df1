"""A local directory in the Hugging Face layout."""

from __future__ import annotations

from ..recipe_base import DirectorySource
from .files import ModelSource, check_files


def from_directory(source: DirectorySource) -> ModelSource:
    """Return the model in ``source.path``; its name, never its place on this machine, is kept."""
    sha256 = check_files(source.path, "Point 'source.path' at a complete copy of the model.")
    return ModelSource("directory", source.path.resolve().name, "", source.path, sha256)
