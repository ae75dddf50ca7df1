"""What the lab's models are compared with: small competitors, and a large general model asked in
words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pesoleve.measure.classification import accuracy, interval
from pesoleve.measure.snippets import Labelled, load_labelled
from pesoleve_worker.catalog import Model

from ..native_chat import NativeChat

Array = npt.NDArray[np.float32]
ASKED = 200
"""Sentences that the general model is asked about: each takes it a third of a second."""

QUESTION = 'Is this film review positive or negative? Answer with one word.\n\nReview: "{text}"'
ANSWERS = ("Negative", "Positive")


@dataclass(frozen=True)
class Baseline:
    name: str
    accuracy: float
    interval: tuple[float, float]
    n: int


def _judged(name: str, rows: Array, data: Labelled) -> Baseline:
    return Baseline(name, accuracy(rows, data.targets), interval(rows, data.targets), len(rows))


def majority(test: Labelled, train: Labelled) -> Baseline:
    """Always the label that the training texts have more of."""
    rows = np.zeros((len(test.texts), len(test.labels)), np.float32)
    rows[:, np.bincount(train.targets).argmax()] = 1
    return _judged("majority", rows, test)


def vader(test: Labelled) -> Baseline:
    """The sign of VADER's compound score, by its own package; a tie counts as praise."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    scores = np.array(
        [SentimentIntensityAnalyzer().polarity_scores(text)["compound"] for text in test.texts]
    )
    rows = np.stack([scores < 0, scores >= 0], axis=1).astype(np.float32)
    return _judged("vader", rows, test)


def tfidf(test: Labelled, train: Labelled, validation: Labelled) -> Baseline:
    """Words and pairs of words by TF-IDF, and a logistic regression; its C chosen by validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    known = vectorizer.fit_transform(train.texts)
    models = [LogisticRegression(C=c, max_iter=1000).fit(known, train.targets) for c in (1, 3, 10, 30)]
    tried = vectorizer.transform(validation.texts)
    best = max(models, key=lambda model: model.score(tried, validation.targets))
    return _judged("tfidf", best.predict_proba(vectorizer.transform(test.texts)), test)


def general(model: Model, models: Path, test: Labelled) -> Baseline:
    """A chat model asked for the label: the likelier of the two answers' first tokens."""
    chat = NativeChat(model, models)
    step = len(test.texts) // ASKED  # the first of them are all praise
    some = Labelled(test.name, test.labels, test.texts[::step], test.targets[::step])
    rows = np.array([chat.prefers(QUESTION.format(text=text), ANSWERS) for text in some.texts])
    return _judged(model.id, rows.astype(np.float32), some)


def compare(chat_model: Model, models: Path) -> dict[str, Any]:
    """Return ``baselines`` and ``general`` as ``site/measured/lab.json`` has them."""
    test, train = load_labelled("movies-test"), load_labelled("movies-train")
    found = [
        majority(test, train),
        vader(test),
        tfidf(test, train, load_labelled("movies-validation")),
    ]
    large = general(chat_model, models, test)
    size = sum(file.bytes for file in chat_model.wire_files("wasm", chat_model.default_dtype))
    return {"baselines": [asdict(row) for row in found], "general": {**asdict(large), "bytes": size}}
