"""The dtypes of a model that shares another's weights: its own graph and adapter, and the base's
files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx
from safetensors.numpy import load_file

from pesoleve_worker.catalog import File

from . import pack
from .entry import Built
from .errors import RecipeError
from .graph import adapter, classify, storage
from .reduce import chain
from .stages import Stage, Stages

OWN = "adapter.bin"


def base_files(base: Built, dtype: str) -> dict[str, list[File]]:
    """Return what ``base`` is opened with in ``dtype``, by role.

    Raises:
        RecipeError: when it has no such dtype.
    """
    if dtype not in base.model.devices["wasm"].files:
        raise RecipeError(f"shared_base {base.model.id} has no dtype {dtype!r}")
    return {str(role): files for role, files in base.model.files_for("wasm", dtype).items()}


def _content(base: Built, files: Iterable[File]) -> bytes:
    return b"".join(pack.unpack((base.packed / Path(f.path).name).read_bytes(), f) for f in files)


def adapt(base: Built, dtype: str, reduced: Stage, stages: Stages, label: str) -> Stage:
    """Write the base's graph with the adapter of ``reduced``, and the weights of both."""
    files = base_files(base, dtype)

    def work(output: Path) -> None:
        weights = _content(base, files["weights"])
        graph = onnx.load_from_string(_content(base, files["graph"]))
        tensors = load_file(reduced.output / chain.ADAPTER)
        adapted, own = adapter.add_adapter(graph, len(weights), tensors)
        onnx.save(adapted, output / storage.GRAPH)
        (output / storage.WEIGHTS).write_bytes(weights + own)
        (output / OWN).write_bytes(own)

    return stages.run(
        "adapt",
        label,
        work,
        code=(adapter, classify, storage),
        depends_on={
            "reduced": reduced.key,
            "base": [file.sha256 for role in ("graph", "weights") for file in files[role]],
        },
    )


def pack_adapted(base: Built, model_id: str, dtype: str, adapted: Stage, stages: Stages) -> Stage:
    """Pack the graph and the adapter; the base's weights stand between them, as they are."""
    shared = [replace(file, dtype=dtype) for file in base_files(base, dtype)["weights"]]

    def work(output: Path) -> None:
        graph = (adapted.output / storage.GRAPH).read_bytes()
        own = (adapted.output / OWN).read_bytes()
        for file in shared:
            name = Path(file.path).name
            (output / name).write_bytes((base.packed / name).read_bytes())
        files = [
            *pack.pack(graph, "graph", dtype, model_id, output),
            *shared,
            *pack.pack(own, "weights", dtype, model_id, output),
        ]
        pack.write_list(files, output)

    return stages.run(
        "pack",
        f"{model_id}: {dtype}: compress and hash",
        work,
        code=(pack,),
        depends_on={"adapted": adapted.key, "id": model_id, "dtype": dtype},
    )
