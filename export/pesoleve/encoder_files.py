"""What an encoder's dtypes become for the catalog: their packed files, and how a device opens them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import onnx

from pesoleve_worker.catalog import Device, File, Shape, Surrogate

from . import pack, surrogates
from .errors import RecipeError
from .graph import quantize, storage, surrogate
from .sizes import encoder_sizes
from .stages import Stage, Stages


class Blocks(Protocol):
    """How wide a dtype's weights are, and for how many of them a scale stands."""

    @property
    def bits(self) -> int: ...

    @property
    def block_size(self) -> int: ...


def quantize_blocks(model: onnx.ModelProto, name: str, dtype: Blocks) -> onnx.ModelProto:
    """Return ``model`` with its weights as ``dtype``, called ``name`` in the recipe, has them.

    Raises:
        RecipeError: when its blocks do not divide the model's rows.
    """
    try:
        return quantize.quantize_weights(model, dtype.bits, dtype.block_size)
    except ValueError as error:
        raise RecipeError(
            f"dtypes.{name}.block_size = {dtype.block_size} does not suit this model: {error}. "
            f"Use a smaller one."
        ) from error


def pack_dtype(
    model_id: str, name: str, quantized: Stage, layers: int, stages: Stages, label: str
) -> Stage:
    """Pack a dtype's graph and weights, and its cuts beside them."""

    def work(output: Path) -> None:
        files = [
            *pack.pack(
                (quantized.output / storage.GRAPH).read_bytes(), "graph", name, model_id, output
            ),
            *pack.pack(
                (quantized.output / storage.WEIGHTS).read_bytes(), "weights", name, model_id, output
            ),
        ]
        cuts = []
        model = storage.load(quantized.output)
        for count in surrogate.layer_counts(layers):
            cut = surrogate.cut_encoder(model, count)
            if cut is not None:
                told, noted = surrogates.pack_surrogate(cut, count, model_id, output)
                files.append(told)
                cuts.append(noted)
        surrogates.write_note(output, {"file": cuts})
        pack.write_list(files, output)

    return stages.run(
        "pack",
        label,
        work,
        code=(pack, surrogate, surrogates),
        depends_on={"quantized": quantized.key, "id": model_id, "dtype": name},
    )


def device(
    dtypes: Mapping[str, Blocks],
    files: Iterable[File],
    graph: onnx.ModelProto,
    shape: Shape,
    cuts: dict[str, list[Surrogate]],
) -> Device:
    """Return how every device opens ``dtypes``, whose unreduced graph is ``graph``."""
    needed = [file for file in files if file.role != "surrogate"]
    of = {name: [file for file in needed if file.dtype in (name, None)] for name in dtypes}
    return Device(
        "file",
        dict(quantize.SESSION_CONFIG),
        {name: [file.path for file in own] for name, own in of.items()},
        {
            name: encoder_sizes(
                graph, shape, quantize.stored_bits(dtype.bits), dtype.block_size, of[name]
            )
            for name, dtype in dtypes.items()
        },
        cuts,
    )
