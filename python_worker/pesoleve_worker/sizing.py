"""Sizes from a model's shape. Shared by the export and the page; standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .architecture import TensorShape
from .beside import ENCODERS, PROMPT, beside_weights, rotary_bytes
from .catalog import Parameters, Shape, Sizes, WeightClass
from .formats import DTYPES, FLOATS, USUAL, layout_bytes, weight_bytes
from .model_config import completed

WEIGHT_CLASSES: tuple[tuple[WeightClass, float], ...] = (
    ("straw", 1e6),
    ("fly", 10e6),
    ("feather", 30e6),
    ("light", 100e6),
    ("welter", 300e6),
    ("middle", 1e9),
    ("heavy", 10e9),
    ("super-heavy", float("inf")),
)
"""Each class with the number of parameters it stays below, lightest first."""


def weight_class(parameters: int) -> WeightClass:
    """Return the weight class of a model with this many parameters in total."""
    if parameters < 0:
        raise ValueError(f"a model cannot have {parameters} parameters")
    return next(name for name, limit in WEIGHT_CLASSES if parameters < limit)


CONFIG_KEYS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "dim", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_heads", "n_head", "num_heads"),
    "intermediate": ("intermediate_size", "hidden_dim", "n_inner", "d_ff"),
    "vocabulary": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions"),
}
"""Each quantity with the names that transformers' configurations give it."""


def shape_from_config(config: Mapping[str, object]) -> Shape:
    """Read a model's shape from its ``config.json``.

    Raises:
        ValueError: naming the keys that are missing or are not counts.
    """
    found: dict[str, int] = {}
    for name, keys in CONFIG_KEYS.items():
        value = next((config[key] for key in keys if key in config), None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            found[name] = value
    lacking = [keys[0] for name, keys in CONFIG_KEYS.items() if name not in found]
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        lacking.append("model_type")
    if lacking:
        raise ValueError(f"config.json has no usable {', '.join(lacking)}")
    kv_heads = config.get("num_key_value_heads", found["heads"])
    if not isinstance(kv_heads, int) or isinstance(kv_heads, bool) or kv_heads <= 0:
        raise ValueError(f"num_key_value_heads should be a count, not {kv_heads!r}")
    head_size = config.get("head_dim") or config.get("d_kv") or found["hidden"] // found["heads"]
    if not isinstance(head_size, int) or isinstance(head_size, bool) or head_size <= 0:
        raise ValueError(f"head_dim should be a count, not {head_size!r}")
    return Shape(family=str(family), kv_heads=kv_heads, head_size=head_size, **found)


def count_parameters(tensors: Iterable[TensorShape]) -> Parameters:
    """Count them as the catalog does: ``total`` without what is tied, which is one with another."""
    stored = embedding = 0
    for tensor in tensors:
        if tensor.tied_to is None:
            stored += tensor.count
            embedding += tensor.count if tensor.kind == "embedding" else 0
    return Parameters(total=stored, stored=stored, embedding=embedding)


def published_shape(config: Mapping[str, Any]) -> Shape:
    """Read the shape of a configuration as it is published, which leaves defaults out.

    Raises:
        ValueError: as ``shape_from_config``.
    """
    return shape_from_config(completed(config))


def kv_bytes_per_token(shape: Shape, element: int = 4) -> int:
    """Return what a token adds to the KV cache: a key and a value for each layer and each head that has
    its own (https://arxiv.org/abs/2305.13245), fp32 on WASM.

    Encoders keep none. Layers that attend to a window are counted as if they saw everything, and T5's
    cross-attention, which grows with the input alone, is left out.
    """
    if shape.family in ENCODERS:
        return 0
    return 2 * shape.layers * shape.kv_heads * shape.head_size * element


def multiply_adds_per_token(tensors: Iterable[TensorShape]) -> int:
    """Return the multiplications that a token takes part in: every matrix, once (attention's own, which
    grow with the context, are few beside them: https://arxiv.org/abs/2001.08361, section 2.1)."""
    return sum(tensor.count for tensor in tensors if tensor.kind == "matrix")


def read_bytes_per_token(tensors: Iterable[TensorShape], layout: str) -> int:
    """Return the bytes of weights that a token has to be multiplied with, as ``layout`` keeps them; an
    encoder's, folded, are fp32."""
    matrices = [replace(t, tied_to=None) for t in tensors if t.kind == "matrix"]
    return layout_bytes(matrices, "float32" if layout == "file" else layout)


PYTHON_HEAP = 31_500_000
"""Bytes of the WebAssembly heap of Pyodide with the pipeline."""

RUNTIME_HEAP = {"file": 14_000_000, "float32": 38_000_000, "int8": 38_000_000, "blocks": 38_000_000}
"""Bytes of ONNX Runtime's heap with no weights in it; a decoder's has the tables of its angles."""

HEAP_FACTOR = {"file": 1.2, "float32": 1.07, "int8": 1.13, "blocks": 1.0}
"""ONNX Runtime's heap beside the weights in it: it holds a packed copy of some matrices while it opens
a session, and a WebAssembly heap never shrinks. Measured with every built model
(``python -m e2e.bench.judge``)."""

FIRST_HEAP = 2**24
HEAP_STEP, MOST_HEAP_STEP = 1.2, 96 * 2**20
"""How Emscripten grows a heap that asks for more: MEMORY_GROWTH_GEOMETRIC_STEP and its _CAP
(https://emscripten.org/docs/tools_reference/settings_reference.html)."""


def runtime_heap(resident: int, layout: str) -> int:
    """Return the bytes of ONNX Runtime's heap with a model open whose weights are ``resident`` bytes.

    What opens a file asks for more again and again; the decoders' own layouts ask once, for all.
    """
    needed = RUNTIME_HEAP[layout] + round(resident * HEAP_FACTOR[layout])
    if layout != "file":
        return needed
    heap = FIRST_HEAP
    while heap < needed:
        heap = round(min(HEAP_STEP * heap, needed + MOST_HEAP_STEP))
    return heap


def model_sizes(
    tensors: Sequence[TensorShape], shape: Shape | None, layout: str, resident: int, decoded: int
) -> Sizes:
    """Return what a model takes on a device whose weights become ``layout``.

    Args:
        resident: bytes of the weights as they compute.
        decoded: bytes of its files, decompressed: they are there while it loads, and are expanded a
            tensor at a time. In the layout for little memory they stay on the disk until then.
    """
    memory = PYTHON_HEAP + runtime_heap(resident, layout)
    memory += 0 if shape is None else rotary_bytes(shape)
    return Sizes(
        memory_bytes=memory,
        loading_bytes=memory + (0 if layout == "int8" else decoded),
        largest_tensor_bytes=max((_compute_bytes(t, layout) for t in tensors), default=0),
        read_bytes=read_bytes_per_token(tensors, layout),
        multiply_adds=multiply_adds_per_token(tensors),
        kv_bytes_per_token=0 if shape is None else kv_bytes_per_token(shape),
    )


def _compute_bytes(tensor: TensorShape, layout: str) -> int:
    if layout == "file":
        return 4 * tensor.count
    return layout_bytes([replace(tensor, tied_to=None)], layout)


@dataclass(frozen=True)
class Estimate:
    """One dtype of any model. ``wire_range``: the least and the most that zstd may leave.

    ``decoded_bytes`` and ``wire_bytes`` are of all files: ``weight_bytes`` are the weights, decoded;
    the rest are its graph and tokenizer. ``memory_bytes`` with the model open and no context;
    ``peak_bytes`` while it loads, or reads its first prompt, whichever is more.
    ``kv_bytes_per_token`` is None where the shape is not known, and then weights alone are counted.
    """

    wire_bytes: int
    wire_range: tuple[int, int]
    decoded_bytes: int
    weight_bytes: int
    memory_bytes: int
    peak_bytes: int
    kv_bytes_per_token: int | None


def estimate(
    tensors: Sequence[TensorShape], shape: Shape | None, dtypes: Iterable[str] = USUAL
) -> dict[str, Estimate]:
    """Estimate ``dtypes``, of ``DTYPES``. Memory is where each takes least (``device_sizes``)."""
    found = {}
    for dtype in dtypes:
        weights = weight_bytes(tensors, dtype)
        sizes = min(device_sizes(tensors, shape, dtype).values(), key=lambda size: size.memory_bytes)
        found[dtype] = estimate_files(weights, DTYPES[dtype].zstd, sizes, shape)
    return found


def estimate_files(
    weights: int, zstd: tuple[float, float, float], sizes: Sizes, shape: Shape | None
) -> Estimate:
    """Return what a model takes whose weights are so many bytes, of which zstd leaves such shares."""
    least, likely, most = (round(share * weights) for share in zstd)
    if shape is None:
        memory, peak = sizes.memory_bytes, sizes.loading_bytes
        return Estimate(likely, (least, most), weights, weights, memory, peak, None)
    beside = beside_weights(shape)
    wire = beside.graph_wire + beside.tokenizer_wire
    files = beside.graph + beside.tokenizer
    memory = sizes.memory_bytes
    kv = kv_bytes_per_token(shape)
    reading = memory + PROMPT * kv + beside.activations + beside.logits
    return Estimate(
        wire + likely, (wire + least, wire + most), files + weights, weights,
        memory, max(sizes.loading_bytes + files, reading), kv,
    )  # fmt: skip


def device_sizes(tensors: Sequence[TensorShape], shape: Shape | None, dtype: str) -> dict[str, Sizes]:
    """Return what ``dtype`` takes on WASM, and in little memory where it may: a decoder that travels in
    blocks can compute in 8 bits; all else computes in fp32."""
    encoder = shape is not None and shape.family in ENCODERS
    layouts = {"wasm": "float32"}
    if not encoder and dtype not in FLOATS:
        layouts["wasm_small"] = "int8"
    decoded = weight_bytes(tensors, dtype)

    def resident(layout: str) -> int:
        if encoder or dtype in FLOATS:  # tables too are fp32
            return sum(4 * tensor.count for tensor in tensors if tensor.tied_to is None)
        return layout_bytes(tensors, layout)

    return {
        device: model_sizes(tensors, shape, "file" if encoder else layout, resident(layout), decoded)
        for device, layout in layouts.items()
    }
