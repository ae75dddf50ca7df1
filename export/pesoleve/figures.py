"""The accuracy that every form of the lab's models was committed with, beside their trained weights."""

from __future__ import annotations

import json
from pathlib import Path

from pesoleve_worker.catalog import Model

FIGURES = "figures.json"

Figures = dict[str, dict[str, dict[str, float]]]
"""By id, dtype and data set."""


def read_figures(folder: Path) -> Figures:
    """Read what is kept in ``folder``; nothing where there is nothing yet."""
    path = folder / FIGURES
    figures: Figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return figures


def figures_of(model: Model) -> dict[str, dict[str, float]]:
    """Return the accuracies of a model by dtype and data set."""
    found: dict[str, dict[str, float]] = {}
    for row in model.quality:
        if row.metric == "accuracy":
            found.setdefault(row.dtype, {})[row.dataset] = row.value
    return found


def keep_figures(folder: Path, model: Model) -> None:
    """Write the accuracies of ``model`` beside those of the others."""
    kept = read_figures(folder) | {model.id: figures_of(model)}
    text = json.dumps(dict(sorted(kept.items())), indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(text + "\n", encoding="utf-8")
