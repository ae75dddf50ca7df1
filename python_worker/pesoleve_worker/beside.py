"""What a model takes beside its weights, from its shape: on the wire its graph and its tokenizer, in
memory its rotary tables, and what a prompt needs while it is read."""

from __future__ import annotations

from dataclasses import dataclass

from .catalog import Shape

ENCODERS = ("bert", "roberta", "distilbert", "albert")
WITHOUT_ROTARY = (*ENCODERS, "gpt2", "t5")
UNGATED = (*ENCODERS, "gpt2")
"""Families whose feed-forward has one matrix in, where the others have a gate beside it."""

FP32 = 4

TOKENIZER = {"wordpiece": (5.4, 15.4), "other": (9.7, 31.9)}
"""Bytes for each entry of the vocabulary, on the wire and decoded: a ``tokenizer.json`` writes a piece
and its id, and byte-level BPE its merges as well. Of the recipes' own (MiniLM, SmolLM2)."""

GRAPH = {"encoder": (1_130, 12_500), "decoder": (230, 6_000)}
"""Bytes for each layer, on the wire and decoded. Of the recipes' own (MiniLM in 4 bits, SmolLM2 on
WASM)."""

PROMPT = 512
"""Tokens of the prompt whose reading is weighed."""


@dataclass(frozen=True)
class Beside:
    """Bytes beside the weights; ``activations`` and ``logits`` of a prompt of ``PROMPT`` tokens."""

    graph_wire: int
    graph: int
    tokenizer_wire: int
    tokenizer: int
    rotary: int
    activations: int
    logits: int
    logits_of_all: int
    """Where the graph answers for every token of the prompt, as exporters make it."""


def beside_weights(shape: Shape) -> Beside:
    """Return what a model of ``shape`` takes beside its weights."""
    graph_wire, graph = graph_bytes(shape)
    tokenizer_wire, tokenizer = tokenizer_bytes(shape)
    tokens = min(PROMPT, shape.context)
    return Beside(
        graph_wire, graph, tokenizer_wire, tokenizer, rotary_bytes(shape),
        activation_bytes(shape, tokens), logits_bytes(shape), logits_bytes(shape, tokens),
    )  # fmt: skip


def tokenizer_bytes(shape: Shape) -> tuple[int, int]:
    """Return about what the tokenizer takes on the wire, and decoded."""
    kind = "wordpiece" if shape.family in ("bert", "distilbert") else "other"
    wire, decoded = TOKENIZER[kind]
    return round(wire * shape.vocabulary), round(decoded * shape.vocabulary)


def graph_bytes(shape: Shape) -> tuple[int, int]:
    """Return about what the graph takes on the wire, and decoded: nodes alone, without its weights."""
    wire, decoded = GRAPH["encoder" if shape.family in ENCODERS else "decoder"]
    return wire * shape.layers, decoded * shape.layers


def rotary_bytes(shape: Shape) -> int:
    """Return the bytes of the tables of cosines and sines, fp32, for every position of the context and
    half of a head (https://arxiv.org/abs/2104.09864, as GroupQueryAttention takes them: ``cos_cache``
    and ``sin_cache``, each (context, head_size / 2)). Gemma 3 has a second pair for its windows."""
    if shape.family in WITHOUT_ROTARY:
        return 0
    pairs = 2 if shape.family == "gemma3_text" else 1
    return pairs * 2 * shape.context * (shape.head_size // 2) * FP32


def activation_bytes(shape: Shape, tokens: int) -> int:
    """Return the bytes that are live at once, at most, while one layer reads ``tokens``, fp32.

    The residual and its norm stand all the while; beside them is either attention (queries, keys,
    values and what it gives, and a score for each pair of tokens of a head, https://arxiv.org/abs/1706.03762),
    or the feed-forward (its inner width, twice where it is gated, and their product). Layers come one
    after the other and reuse the space.
    """
    residual = 2 * shape.hidden
    attention = (2 * shape.heads + 2 * shape.kv_heads) * shape.head_size + shape.heads * tokens
    inner = (1 if shape.family in UNGATED else 3) * shape.intermediate
    return FP32 * tokens * (residual + max(attention, inner))


def logits_bytes(shape: Shape, positions: int = 1) -> int:
    """Return the bytes of the logits of so many positions, fp32. A prompt wants those of its last
    token; a graph that answers for every token, as exporters make it, has the whole prompt's."""
    return 0 if shape.family in ENCODERS else FP32 * positions * shape.vocabulary
