"""The lab's texts: the published counts, no text in two splits, no product in what is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.errors import SourceError
from pesoleve.measure import classification, snippets
from pesoleve.measure.snippets import load_labelled, load_snippets, load_unlabelled, normalized

SPLITS = ("train", "validation", "test")


def test_every_text_stands_once_in_one_split() -> None:
    words = [normalized(snippet.text) for snippet in load_snippets()]
    assert len(words) == len(set(words)) > 23_000
    films = {split: set(load_labelled(f"movies-{split}").texts) for split in SPLITS}
    assert [len(films[split]) for split in SPLITS] == [6481, 893, 1797]
    for split in SPLITS:
        for other in SPLITS:
            assert split == other or not films[split] & films[other]
        of_split = set(load_labelled(f"origin-{split}").texts)
        assert films[split] <= of_split


def test_labels_are_the_ratings_sign_where_it_is_clear() -> None:
    data = load_labelled("movies-test")
    ratings = {snippet.text: snippet.rating for snippet in load_snippets()}
    for text, target in zip(data.texts, data.targets, strict=True):
        assert abs(ratings[text]) >= 1
        assert data.labels[target] == ("positive" if ratings[text] > 0 else "negative")


def test_students_see_no_test_text_and_no_product() -> None:
    seen = set(load_unlabelled())
    held_out = {*load_labelled("movies-test").texts, *load_labelled("movies-validation").texts}
    assert not seen & held_out
    assert not seen & set(load_labelled("products-all").texts)


def test_a_missing_or_strange_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snippets, "DATA", tmp_path)
    read = load_snippets.__wrapped__
    with pytest.raises(SourceError, match=r"vaderSentiment-0\.5\.zip cannot be read.*make setup"):
        read()
    (tmp_path / snippets.ARCHIVE).write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"is not the archive of vaderSentiment 0\.5"):
        read()


def test_the_interval_holds_the_accuracy() -> None:
    import numpy as np

    rows = np.tile(np.array([[0.2, 0.8], [0.9, 0.1]], np.float32), (100, 1))
    targets = [1] * 150 + [0] * 50
    low, high = classification.interval(rows, targets)
    assert low < classification.accuracy(rows, targets) == 0.5 < high
    assert 0.1 < high - low < 0.2
