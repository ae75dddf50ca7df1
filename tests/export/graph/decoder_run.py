"""The tiny decoders' graphs, laid out and opened with their logits let out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from pesoleve.graph import layouts
from pesoleve.graph.decoder import TABLE
from pesoleve.graph.exact_gguf import read_blocks
from pesoleve.native_host import NativeDecoder
from pesoleve.planes import Tensors
from tests.tiny_llama import VOCABULARY

Floats = npt.NDArray[np.float32]
IDS: list[int] = np.random.default_rng(1).integers(0, VOCABULARY, 40).tolist()
"""Longer than the tiny Gemma's window by far."""


def opened(graph: onnx.ModelProto, tensors: Tensors, layout: str = "float32") -> NativeDecoder:
    laid = layouts.lay_out(graph, tensors, layout)
    laid.graph.output.append(onnx.helper.make_tensor_value_info("logits", 1, None))
    return NativeDecoder(laid.SerializeToString(), layouts.expand(tensors, layout), {})


def logits(decoder: NativeDecoder, ids: Sequence[int]) -> Floats:
    """Logits (T, vocabulary) after each of ``ids``, appended to what the cache holds."""
    answer: Floats = decoder.run(ids, len(ids), ["logits"])["logits"][0]
    return answer


def in_blocks(graph: onnx.ModelProto, kind: str) -> Tensors:
    """The graph's matrices quantized to this GGUF type, and its table to one without minimums."""
    tensors = {}
    for name, weight in layouts.weights_of(graph).items():
        own = "Q8_0" if name == TABLE and kind in ("Q4_1", "Q5_1") else kind
        raw = np.asarray(quantize(weight, GGMLQuantizationType[own])) if weight.ndim == 2 else None
        blocks = None if raw is None else read_blocks(own, raw)
        tensors[name] = weight if blocks is None else blocks
    return tensors
