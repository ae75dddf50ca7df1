"""What each dtype of a model will take on each device, for the catalog: ``pesoleve_worker.sizing``
asked of the tensors that were built."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from pesoleve_worker.architecture import TensorShape
from pesoleve_worker.catalog import File, Shape, Sizes
from pesoleve_worker.formats import Planes, folded_bytes, layout_bytes
from pesoleve_worker.sizing import model_sizes

from .graph.decoder import HEAD, TABLE

MULTIPLIED = ("MatMul", "Attention")


def graph_tensors(model: onnx.ModelProto) -> list[TensorShape]:
    """Return the floating-point tensors of a graph: a table is what Gather looks up in, and what
    several nodes multiply by stands once and is tied to itself by the others."""
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    uses = Counter(
        name for node in model.graph.node if node.op_type in MULTIPLIED for name in node.input
    )
    found = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims):
            kind = "matrix" if len(tensor.dims) == 2 else "vector"
            kind = "embedding" if tensor.name in tables else kind
            shape = tuple(tensor.dims)
            found.append(TensorShape(tensor.name, kind, shape))
            for use in range(1, uses[tensor.name] if kind == "matrix" else 1):
                found.append(TensorShape(f"{tensor.name}#{use}", kind, shape, tied_to=tensor.name))
    return found


def encoder_sizes(
    optimized: onnx.ModelProto, shape: Shape, bits: int, block: int, files: Iterable[File]
) -> Sizes:
    """Sizes of a dtype in ``bits``, whose weights are folded when the session opens."""
    tensors = graph_tensors(optimized)
    decoded = sum(file.decoded_bytes for file in files)
    return model_sizes(tensors, shape, "file", folded_bytes(tensors, bits, block), decoded)


def plane_tensors(path: Path) -> tuple[list[TensorShape], dict[str, Planes]]:
    """Read the shapes and the formats in the header of a file of planes (``planes.py``)."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    blocks = json.loads(header.pop("__metadata__")["blocks"])
    tensors, formats = [], {}
    for name, of in blocks.items():
        kind = "embedding" if "embed_tokens" in name else "matrix"
        tensors.append(TensorShape(name, kind, tuple(of["shape"])))
        scale = np.dtype(np.float16 if of["scale"] == "F16" else np.float32).itemsize
        formats[name] = Planes(of["bits"], of["block"], scale, f"{name}.minimum" in header)
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            shape = tuple(entry["shape"])
            tensors.append(TensorShape(name, "matrix" if len(shape) == 2 else "vector", shape))
    if HEAD not in {tensor.name for tensor in tensors}:
        table = next(tensor for tensor in tensors if tensor.name == TABLE)
        tensors.append(TensorShape(HEAD, "matrix", table.shape, tied_to=TABLE))
    return tensors, formats


def decoder_sizes(path: Path, shape: Shape, layout: str, files: Iterable[File]) -> Sizes:
    """Sizes of the planes at ``path`` where they become ``layout``."""
    tensors, formats = plane_tensors(path)
    decoded = sum(file.decoded_bytes for file in files)
    return model_sizes(tensors, shape, layout, layout_bytes(tensors, layout, formats), decoded)
