"""Cut graphs as they travel: packed, and noted beside a packed dtype for the catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from pesoleve_worker.catalog import File, Surrogate

from . import pack
from .graph.surrogate import without_weights

NOTE = "surrogates.json"


def pack_surrogate(
    cut: onnx.ModelProto, layers: int, model_id: str, output: Path
) -> tuple[File, Surrogate]:
    """Write ``cut``, of so many layers, into ``output`` without its weights."""
    bare, size = without_weights(cut)
    content = bare.SerializeToString(deterministic=True)
    [file] = pack.pack(content, "surrogate", None, model_id, output)
    return file, Surrogate(file.path, layers, size)


def write_note(output: Path, by_layout: Mapping[str, Sequence[Surrogate]]) -> None:
    """Note what was packed, by the layout that it is of."""
    told = {layout: [asdict(one) for one in cuts] for layout, cuts in by_layout.items()}
    (output / NOTE).write_text(json.dumps(told), encoding="utf-8")


def read_note(output: Path) -> dict[str, list[Surrogate]]:
    """Return what ``write_note`` noted."""
    told = json.loads((output / NOTE).read_text(encoding="utf-8"))
    return {layout: [Surrogate(**one) for one in cuts] for layout, cuts in told.items()}
