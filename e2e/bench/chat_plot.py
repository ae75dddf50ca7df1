"""The benchmark as a picture: a row of bars a figure, a bar a contender."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

PANELS = (
    ("wire_bytes", "on the wire, MB", 1e-6),
    ("warm", "warm load, s", 1),
    ("long_first", "first token after 512, s", 1),
    ("short_decode", "tokens/s", 1),
    ("memory", "peak renderer, MB", 1e-6),
)


def plot(results: dict[str, Any], path: Path) -> None:
    """Write ``results`` (``chat.json``) as SVG: medians, with the least and the most as a line."""
    labels = [entrant["label"] for entrant in results["contenders"]]
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(14, 0.5 * len(labels) + 1), sharey=True)
    for axis, (key, title, scale) in zip(axes, PANELS, strict=True):
        for place, entrant in enumerate(results["contenders"]):
            values = [entrant[key]] if key in entrant else [row[key] for row in entrant["rounds"]]
            middle = scale * statistics.median(values)
            ours = entrant["label"].startswith("Peso Leve")
            axis.barh(place, middle, color="#c8102e" if ours else "#8a8f98", height=0.7)
            axis.plot([scale * min(values), scale * max(values)], [place, place], color="black", lw=1)
            axis.text(middle, place, f" {middle:.3g}", va="center", fontsize=8)
        axis.set_title(title, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.25)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
