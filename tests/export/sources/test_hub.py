"""The hub through its own cache, offline: what a second build, or one on a train, meets."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from pesoleve.errors import SourceError
from pesoleve.recipe_base import DirectorySource, HubSource
from pesoleve.sources import resolve
from tests.export.sources.damage import cut

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert constants.HF_HUB_OFFLINE, "tests/conftest.py sets it before anything reads it"
    return tmp_path


@pytest.fixture
def snapshot(cache: Path, tiny_model: Path) -> Path:
    """org/tiny in the cache as huggingface_hub lays it out: blobs, links to them, and a ref."""
    repository = cache / "models--org--tiny"
    directory = repository / "snapshots" / COMMIT
    for folder in (directory, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for number, path in enumerate(sorted(tiny_model.iterdir())):
        blob = repository / "blobs" / f"{number:040x}"
        blob.write_bytes(path.read_bytes())
        (directory / path.name).symlink_to(blob)
    return directory


def hub(repo: str = "org/tiny", revision: str = "main") -> HubSource:
    return HubSource(kind="hub", repo=repo, revision=revision)


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_cached_model_is_found_and_the_commit_is_kept(snapshot: Path, revision: str) -> None:
    found = resolve(hub(revision=revision))
    assert (found.kind, found.locator, found.revision) == ("hub", "org/tiny", COMMIT)
    assert found.directory == snapshot


def test_the_same_files_have_the_same_digest_as_in_a_directory(
    snapshot: Path, tiny_model: Path
) -> None:
    del snapshot
    local = resolve(DirectorySource(kind="directory", path=tiny_model))
    assert resolve(hub()).sha256 == local.sha256


@pytest.mark.usefixtures("snapshot")
@pytest.mark.parametrize("revision", ["v2", OTHER_COMMIT])
def test_a_revision_that_is_not_cached_says_what_to_do(revision: str) -> None:
    with pytest.raises(SourceError) as caught:
        resolve(hub(revision=revision))
    message = str(caught.value)
    assert f"org/tiny at {revision} is not in the hub cache" in message
    assert "unset HF_HUB_OFFLINE" in message
    assert "'directory' source" in message


def test_a_repository_that_is_not_cached_says_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"org/absent at main is not in the hub cache.*Connect"):
        resolve(hub("org/absent"))


def test_a_name_that_no_repository_can_have_is_told_apart() -> None:
    with pytest.raises(SourceError, match=r"no model 'a/b/c'.*Check 'source\.repo'"):
        resolve(hub("a/b/c"))


def test_a_damaged_snapshot_says_what_to_delete(snapshot: Path) -> None:
    cut((snapshot / "model.safetensors").resolve(), 5)
    with pytest.raises(SourceError, match=rf"Delete {snapshot} and build again"):
        resolve(hub())


def test_an_incomplete_snapshot_says_what_to_delete(snapshot: Path) -> None:
    (snapshot / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=rf"tokenizer\.json is missing .*Delete {snapshot}"):
        resolve(hub())
