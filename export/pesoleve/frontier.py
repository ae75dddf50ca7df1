"""Bytes against quality as a picture: every dtype of a model, and the line of those nothing beats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pesoleve_worker.catalog import Model


@dataclass(frozen=True)
class Point:
    """One dtype: bytes of all its files on the wire, and mean KL from the source in nats."""

    dtype: str
    bytes: int
    kl: float


def points(model: Model) -> list[Point]:
    """Return the dtypes whose KL was measured, smallest first."""
    dtypes = model.devices["wasm"].files
    kl = {row.dtype: row.value for row in model.quality if row.metric == "kl"}
    found = [
        Point(dtype, sum(file.bytes for file in model.wire_files("wasm", dtype)), kl[dtype])
        for dtype in dtypes
        if dtype in kl
    ]
    return sorted(found, key=lambda point: point.bytes)


def unbeaten(found: list[Point]) -> list[Point]:
    """Return those that no other equals or beats in both bytes and KL."""
    return [
        point
        for point in found
        if not any(
            (other.bytes, other.kl) != (point.bytes, point.kl)
            and other.bytes <= point.bytes
            and other.kl <= point.kl
            for other in found
        )
    ]


def plot(model: Model, path: Path) -> None:
    """Write the frontier as SVG; the same model gives the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = model.id
    from matplotlib import pyplot

    found = points(model)
    front = unbeaten(found)
    figure, axis = pyplot.subplots(figsize=(7, 4))
    axis.plot([p.bytes / 1e6 for p in front], [p.kl for p in front], color="#c8102e", lw=1)
    axis.scatter([p.bytes / 1e6 for p in found], [p.kl for p in found], color="#c8102e", zorder=2)
    for point in found:
        label = f" {point.dtype}: {point.bytes / 1e6:.1f} MB, KL {point.kl:.3f}"
        axis.annotate(label, (point.bytes / 1e6, point.kl), va="bottom", fontsize=8)
    axis.set_title(model.title["en"], fontsize=10)
    axis.set_xlabel("on the wire, MB", fontsize=9)
    axis.set_ylabel("mean KL from the source, nats", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.3, y=0.15)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
