from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pesoleve.catalog import CATALOG, publish, read
from pesoleve.errors import CheckError
from pesoleve_worker.catalog import Model
from tests.sample_entry import sample_model


class Shop:
    """A catalog being published into ``models``, from packed files in ``packed``."""

    def __init__(self, root: Path) -> None:
        self.models = root / "models"
        self._packed = root / "packed"

    def make(self, model_id: str = "sample", weights: bytes = b"weights") -> tuple[Model, Path]:
        folder = self._packed / f"{model_id}-{weights.hex()}"
        return sample_model(folder, model_id, weights), folder

    def publish(self, *built: tuple[Model, Path]) -> bool:
        return publish(self.models, {model.id: (model, packed) for model, packed in built})

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        """Every published file's content and when it was written."""
        return {
            path.relative_to(self.models).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.models.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_publish_writes_the_catalog_and_exactly_the_files_it_names(shop: Shop) -> None:
    model, packed = shop.make()
    assert shop.publish((model, packed)) is True
    assert read(shop.models).models == [model]
    assert set(shop.snapshot()) == {CATALOG, *(file.path for file in model.files)}
    for file in model.files:
        assert (shop.models / file.path).read_bytes() == (packed / Path(file.path).name).read_bytes()


def test_publishing_the_same_again_touches_nothing(shop: Shop) -> None:
    built = shop.make()
    shop.publish(built)
    before = shop.snapshot()
    assert shop.publish(built) is False
    assert shop.snapshot() == before


@pytest.mark.parametrize("damage", [b"", b"weighty things that are longer"])
def test_a_damaged_file_is_replaced(shop: Shop, damage: bytes) -> None:
    model, packed = shop.make()
    shop.publish((model, packed))
    whole = shop.snapshot()
    (shop.models / model.files[2].path).write_bytes(damage)
    assert shop.publish((model, packed)) is True
    assert {n: content for n, (content, _) in shop.snapshot().items()} == {
        n: content for n, (content, _) in whole.items()
    }


def test_a_file_with_one_wrong_byte_of_the_same_size_is_replaced(shop: Shop) -> None:
    model, packed = shop.make()
    shop.publish((model, packed))
    path = shop.models / model.files[2].path
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert shop.publish((model, packed)) is True
    assert path.read_bytes() == whole


def test_a_lost_file_is_put_back(shop: Shop) -> None:
    model, packed = shop.make()
    shop.publish((model, packed))
    (shop.models / model.files[0].path).unlink()
    assert shop.publish((model, packed)) is True
    assert (shop.models / model.files[0].path).exists()


def test_other_models_are_kept_and_all_are_in_order(shop: Shop) -> None:
    sample, other = shop.make("sample"), shop.make("another")
    shop.publish(sample)
    shop.publish(other)
    assert read(shop.models).models == [other[0], sample[0]]
    assert set(shop.snapshot()) == {
        CATALOG,
        *(file.path for model in (sample[0], other[0]) for file in model.files),
    }


def test_a_model_of_the_same_id_is_replaced_and_its_old_files_go(shop: Shop) -> None:
    old, new = shop.make(weights=b"old weights"), shop.make(weights=b"new weights")
    shop.publish(old)
    assert shop.publish(new) is True
    assert read(shop.models).models == [new[0]]
    assert set(shop.snapshot()) == {CATALOG, *(file.path for file in new[0].files)}


@pytest.mark.parametrize("name", ["README.md", "weights.zst", "notes-2024.partial", "a/b.zst"])
def test_a_foreign_file_is_never_removed(shop: Shop, name: str) -> None:
    shop.publish(shop.make(weights=b"old weights"))
    foreign = shop.models / "sample" / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("mine")
    shop.publish(shop.make(weights=b"new weights"))
    assert foreign.read_text() == "mine"


def test_a_foreign_folder_is_never_removed(shop: Shop) -> None:
    foreign = shop.models / "drafts"
    foreign.mkdir(parents=True)
    shop.publish(shop.make())
    assert foreign.is_dir()


def test_what_an_interrupted_publish_left_is_cleared(shop: Shop) -> None:
    left = shop.models / "sample" / "weights-0123456789abcdef.partial"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    shop.publish(shop.make())
    assert not left.exists()


def test_an_invalid_new_catalog_leaves_the_old_one_in_place(shop: Shop) -> None:
    shop.publish(shop.make(weights=b"old weights"))
    before = shop.snapshot()
    model, packed = shop.make(weights=b"new weights")
    invalid = replace(model, source=replace(model.source, sha256="not a hash"))
    with pytest.raises(CheckError, match=r"new catalog is not valid at .*sha256"):
        shop.publish((invalid, packed))
    assert shop.snapshot() == before


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_json_cannot_hold_is_not_published(shop: Shop, figure: float) -> None:
    model, packed = shop.make()
    odd = replace(model, quality=[replace(model.quality[0], value=figure)])
    with pytest.raises(CheckError, match="new catalog"):
        shop.publish((odd, packed))
    assert not (shop.models / CATALOG).exists()


def test_a_packed_file_that_is_not_there_leaves_the_old_catalog_usable(shop: Shop) -> None:
    old, new = shop.make(weights=b"old weights"), shop.make(weights=b"new weights")
    shop.publish(old)
    for path in new[1].glob("weights-*"):
        path.unlink()
    with pytest.raises(FileNotFoundError):
        shop.publish(new)
    assert read(shop.models).models == [old[0]]
    assert all((shop.models / file.path).exists() for file in old[0].files)


def test_an_absent_catalog_reads_as_an_empty_one(shop: Shop) -> None:
    assert read(shop.models).models == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not valid at \\$"),
        (b'{"schema_version": 99, "models": []}', r"is not valid at \$.schema_version"),
        (b'{"schema_version": 6, "models": [{}]}', r"is not valid at \$.models\[0\]"),
    ],
)
def test_a_broken_catalog_is_refused_with_its_name(shop: Shop, content: bytes, said: str) -> None:
    shop.models.mkdir()
    path = shop.models / CATALOG
    path.write_bytes(content)
    with pytest.raises(CheckError, match=rf"{path} {said}"):
        read(shop.models)
    with pytest.raises(CheckError):
        shop.publish(shop.make())
    assert path.read_bytes() == content


def test_the_catalog_is_written_as_plain_utf8(shop: Shop) -> None:
    model, packed = shop.make()
    accented = replace(model, title={"en": "Sample", "pt-BR": "Amostra de ação"})
    shop.publish((accented, packed))
    text = (shop.models / CATALOG).read_text(encoding="utf-8")
    assert "ação" in text
    assert json.loads(text)["schema_version"] == 6
