"""An ONNX model on disk as two files: a small graph, and the bytes of its weights."""

from __future__ import annotations

from pathlib import Path

import onnx

GRAPH = "model.onnx"
WEIGHTS = "weights.bin"
"""The name that the graph knows its external data by, here and in the page."""

SMALLEST_EXTERNAL = 1024
"""Bytes; a smaller tensor stays in the graph, where shape inference can read it."""


def save(model: onnx.ModelProto, directory: Path) -> None:
    """Write ``model`` into ``directory`` as ``model.onnx`` and ``weights.bin``."""
    # onnx.save appends to an external file that is there already.
    (directory / WEIGHTS).unlink(missing_ok=True)
    onnx.save(
        model,
        directory / GRAPH,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=SMALLEST_EXTERNAL,
    )


def load(directory: Path) -> onnx.ModelProto:
    """Read what ``save`` wrote, weights included."""
    return onnx.load(directory / GRAPH)
