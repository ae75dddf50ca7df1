"""How many bytes a model's tensors take: as they travel, by dtype, and as they compute, by layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .architecture import TensorShape


@dataclass(frozen=True)
class BlockFormat:
    """So many bytes for a block of so many weights of one row."""

    weights: int
    bytes: int


BLOCKS: Mapping[str, BlockFormat] = {
    "F32": BlockFormat(1, 4),
    "F16": BlockFormat(1, 2),
    "BF16": BlockFormat(1, 2),
    "Q8_0": BlockFormat(32, 34),
    "Q5_1": BlockFormat(32, 24),
    "Q5_0": BlockFormat(32, 22),
    "Q4_1": BlockFormat(32, 20),
    "Q4_0": BlockFormat(32, 18),
    "Q6_K": BlockFormat(256, 210),
    "Q5_K": BlockFormat(256, 176),
    "Q4_K": BlockFormat(256, 144),
    "Q3_K": BlockFormat(256, 110),
    "Q2_K": BlockFormat(256, 84),
}
"""GGML's types: levels, and fp16 scales and minimums (``block_*`` in ggml-common.h)."""


@dataclass(frozen=True)
class Dtype:
    """How weights travel; ``zstd`` is the share that compression leaves: least, likely, most."""

    matrix: str
    embedding: str
    zstd: tuple[float, float, float]


USUAL: Mapping[str, Dtype] = {
    "fp32": Dtype("F32", "F32", (0.45, 0.92, 0.94)),
    "fp16": Dtype("F16", "F16", (0.75, 0.88, 0.95)),
    "q8_0": Dtype("Q8_0", "Q8_0", (0.88, 0.94, 0.98)),
    "q4_1": Dtype("Q4_1", "Q8_0", (0.86, 0.90, 0.97)),
    "q4_0": Dtype("Q4_0", "Q8_0", (0.86, 0.92, 0.98)),
}
"""What is weighed of any model. The likely share is what the recipes' own files came to; fp32 that was
widened from bf16 has two bytes of zeros in four, which is where the least comes from."""

DTYPES: Mapping[str, Dtype] = {
    **{
        kind.lower(): Dtype(kind, kind, (0.75, 0.95, 1))
        for kind in BLOCKS
        if kind not in ("F32", "F16")
    },
    **USUAL,
}
"""What can be weighed: also GGML's other types, all tensors in one. No recipe builds those, and what
zstd leaves of them was not measured: levels of five or six bits lie across bytes, and hardly shrink."""

FLOATS = ("fp32", "fp16", "bf16")
"""Those that compute in fp32."""


def tensor_bytes(tensor: TensorShape, kind: str) -> int:
    """Return the bytes of one tensor in one of ``BLOCKS``. Where its rows are no whole number of blocks
    it is fp16, as llama.cpp leaves it."""
    form = BLOCKS[kind]
    if tensor.shape[-1] % form.weights:
        form = BLOCKS["F16"]
    return tensor.count // form.weights * form.bytes


def weight_bytes(tensors: Iterable[TensorShape], dtype: str) -> int:
    """Return the bytes of the weights in ``dtype``, before zstd; what is tied stands once, and vectors
    stay fp32, but in fp16."""
    form = DTYPES[dtype]
    vector = "F16" if dtype == "fp16" else "F32"
    kinds = {"matrix": form.matrix, "embedding": form.embedding, "vector": vector}
    return sum(tensor_bytes(t, kinds[t.kind]) for t in tensors if t.tied_to is None)


@dataclass(frozen=True)
class Planes:
    """A matrix as levels, and a scale, perhaps a minimum, for a block (``export/pesoleve/planes.py``).

    ``bits`` are those of a stored level, 4 or 8; ``scale`` the bytes of a scale.
    """

    bits: int
    block: int
    scale: int = 2
    minimum: bool = False

    def bytes(self, tensor: TensorShape) -> int:
        scales = tensor.count // self.block * self.scale
        return tensor.count * self.bits // 8 + scales * (2 if self.minimum else 1)


def planes_bytes(tensors: Iterable[TensorShape], planes: Mapping[str, Planes]) -> int:
    """Return the bytes of the weights in planes by name; what has none is fp32."""
    stored = [tensor for tensor in tensors if tensor.tied_to is None]
    return sum(planes[t.name].bytes(t) if t.name in planes else 4 * t.count for t in stored)


def qdq_bytes(tensors: Iterable[TensorShape], bits: int, block: int) -> int:
    """Return the bytes of an encoder's weights for DequantizeLinear, and GatherBlockQuantized for its
    tables, whose zero points stand beside the scales (``export/pesoleve/graph/quantize.py``).

    ``bits`` is 4, 8 or 32. Vectors, and what has fewer than 4,096 weights, stay fp32.
    """
    total = 0
    for tensor in (t for t in tensors if t.tied_to is None):
        if bits == 32 or tensor.kind == "vector" or tensor.count < 4096:
            total += 4 * tensor.count
            continue
        groups = tensor.count // block
        total += tensor.count * bits // 8 + 2 * groups
        if tensor.kind == "embedding":
            total += groups * bits // 8
    return total


LAYOUTS = ("float32", "int8", "blocks")
"""What a decoder's weights become where they compute (``export/pesoleve/graph/layouts.py``)."""


def layout_bytes(
    tensors: Iterable[TensorShape], layout: str, planes: Mapping[str, Planes] | None = None
) -> int:
    """Return the bytes of the weights as they compute; vectors stay fp32.

    ``float32``: four a weight; a table whose blocks have no minimum is looked up in them, and is fp32
    only where it is the head as well. ``int8``: one, with a scale and a zero an output. ``blocks``:
    MatMulNBits with fp32 scales, packed zero points, and minimums where ``planes`` has them; 4 bits in
    blocks of 32 where it is None. A matrix that ``planes`` leaves out travelled in fp32, and stays so.
    """
    total = 0
    tensors = list(tensors)
    heads = {tensor.tied_to for tensor in tensors}
    for tensor in (t for t in tensors if t.tied_to is None):
        form = Planes(4, 32) if planes is None else planes.get(tensor.name)
        rows = tensor.count // tensor.shape[-1]
        if tensor.kind == "vector" or form is None:
            total += 4 * tensor.count
        elif layout == "float32":
            in_blocks = tensor.kind == "embedding" and not form.minimum
            total += _block_bytes(tensor, form) if in_blocks else 0
            total += 4 * tensor.count if not in_blocks or tensor.name in heads else 0
        elif layout == "int8":
            total += tensor.count + 5 * rows
        else:
            total += _block_bytes(tensor, form)
    return total


def _block_bytes(tensor: TensorShape, form: Planes) -> int:
    """As MatMulNBits takes them, a row after the other: levels, ceil(columns / block) scales, and as
    many zero points, two in a byte
    (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md)."""
    rows, columns = tensor.count // tensor.shape[-1], tensor.shape[-1]
    groups = -(-columns // (form.block & -form.block))  # blocks become powers of two
    zeros = (groups + 1) // 2 if form.bits == 4 else groups
    scales = 4 * groups * (2 if form.minimum else 1)
    return tensor.count * form.bits // 8 + rows * (scales + zeros)


def folded_bytes(tensors: Iterable[TensorShape], bits: int, block: int) -> int:
    """Return the bytes of an encoder's weights when its session is open: matrices folded to fp32,
    tables as ``qdq_bytes`` has them."""
    stored = [tensor for tensor in tensors if tensor.tied_to is None]
    tables = [tensor for tensor in stored if tensor.kind == "embedding"]
    others = sum(4 * tensor.count for tensor in stored if tensor.kind != "embedding")
    return others + qdq_bytes(tables, bits, block)
