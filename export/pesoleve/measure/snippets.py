"""Short texts that people rated: what the reduction lab trains on and is measured with.

Hutto and Gilbert, VADER (ICWSM 2014, https://ojs.aaai.org/index.php/ICWSM/article/view/14550), MIT:
review snippets of films and of products, tweets, and sentences of editorials, each with the mean of
twenty ratings from -4 to 4.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import SourceError

ARCHIVE = Path("vaderSentiment-0.5.zip")
SHA256 = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
DATA = Path(__file__).parents[3] / ".cache" / "data"
INNER = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {
    "movies": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
    "tweets": "tweets",
}
CLEAR = 1.0
"""A rating nearer to 0 than this calls a text neither positive nor negative."""

SENTIMENT = ("negative", "positive")
LABELS = {"movies": SENTIMENT, "origin": tuple(FILES)}
"""By what ``load_labelled`` calls a data set."""


@dataclass(frozen=True)
class Snippet:
    """A text, where it is from, and its mean rating."""

    text: str
    origin: str
    rating: float

    @property
    def split(self) -> str:
        """``train``, ``validation`` or ``test``, by the text alone: the same words are never in two."""
        digest = hashlib.sha256(f"pesoleve {normalized(self.text)}".encode()).digest()
        tenth = int.from_bytes(digest[:4], "big") % 10
        return {0: "test", 1: "test", 2: "validation"}.get(tenth, "train")


@dataclass(frozen=True)
class Labelled:
    """Texts and the index of each one's label in ``labels``."""

    name: str
    labels: tuple[str, ...]
    texts: list[str]
    targets: list[int]


def normalized(text: str) -> str:
    """Return the words of ``text`` alone, so that two spellings of one text are one."""
    return " ".join(re.findall(r"\w+", text.casefold()))


@cache
def load_snippets() -> tuple[Snippet, ...]:
    """Read every snippet once; of texts with the same words the first is kept.

    Raises:
        SourceError: when the archive is missing, or is not the one that is expected.
    """
    path = DATA / ARCHIVE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Run: make setup") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SourceError(
            f"{path} is not the archive of vaderSentiment 0.5. Delete it; run: make setup"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inner = io.BytesIO(archive.read(INNER))
    found: dict[str, Snippet] = {}
    with tarfile.open(fileobj=inner) as files:
        for origin, name in FILES.items():
            member = files.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
            assert member is not None
            for snippet in _read(member.read().decode("utf-8", "replace"), origin):
                found.setdefault(normalized(snippet.text), snippet)
    return tuple(found.values())


def _read(text: str, origin: str) -> Iterator[Snippet]:
    for line in text.splitlines():
        _number, rating, words = line.split("\t", 2)
        if normalized(words):
            yield Snippet(" ".join(words.split()), origin, float(rating))


def load_labelled(name: str) -> Labelled:
    """Return a data set: by sentiment ``movies-train``, ``movies-validation``, ``movies-test``, and
    ``products-all``, the other domain, of which no part is trained on; by where a text is from
    ``origin-train``, ``origin-validation`` and ``origin-test``.

    Raises:
        SourceError: as ``load_snippets``.
    """
    what, split = name.rsplit("-", 1)
    of_split = [s for s in load_snippets() if split in (s.split, "all")]
    if what == "origin":
        origins = LABELS["origin"]
        return Labelled(
            name, origins, [s.text for s in of_split], [origins.index(s.origin) for s in of_split]
        )
    clear = [s for s in of_split if s.origin == what and abs(s.rating) >= CLEAR]
    return Labelled(name, SENTIMENT, [s.text for s in clear], [int(s.rating > 0) for s in clear])


def load_unlabelled() -> list[str]:
    """Return the texts that a student may see without labels: of the training split, whatever their
    rating, but none of a product, which is the domain that nothing here is trained on."""
    return [s.text for s in load_snippets() if s.split == "train" and s.origin != "products"]
