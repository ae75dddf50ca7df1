"""A decoder's weights in the form that a recipe's dtype asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .blocks import BlockTensor, Float
from .graph import exact_gguf
from .graph.decoder import HEAD, TABLE
from .measure import datasets
from .quantizers import fisher, gptq, hqq, llama, rtn, scales, steps
from .recipe import WeightsDtype
from .sources import ModelSource
from .sources.gguf_file import GgufFile
from .torch_kernels import resolve_kernels

CODE = (exact_gguf, fisher, gptq, hqq, llama, rtn, scales, steps, datasets)
"""Modules whose code decides what ``reduce_weights`` returns."""

CALIBRATION_WINDOWS = 8
CALIBRATION_WINDOW = 512
HELD_OUT = 200_000
"""Characters at the beginning of the text that measure, and therefore never calibrate."""

Weights = dict[str, npt.NDArray[np.float32]]
Reduced = dict[str, BlockTensor | Float]


def describe(dtype: WeightsDtype) -> str:
    """Say in words what the dtype does to the weights."""
    if dtype.method == "exact_gguf":
        return "the GGUF's own integers, bit-exact"
    if dtype.method == "fp32":
        return "fp32 as they are"
    if dtype.method == "gptq":
        return (
            f"GPTQ, steps by sensitivity for a predicted loss of {dtype.linear_loss} nats; "
            f"embeddings in steps of {dtype.embedding_step} standard deviations"
        )
    return (
        f"{dtype.method.upper()}, {dtype.bits} bits in blocks of {dtype.block_size}, "
        f"embeddings in {dtype.embedding_bits}"
    )


def reduce_weights(
    dtype: WeightsDtype,
    weights: Weights,
    source: ModelSource,
    directory: Path,
    surveyed: Path | None = None,
) -> Reduced:
    """Return every weight of the graph, reduced as ``dtype`` says.

    Args:
        weights: by the graph's names; matrices are (N, K).
        directory: the source in the Hugging Face layout.
        surveyed: what ``survey`` wrote, which method ``gptq`` needs.

    Raises:
        ValueError: when the dtype does not suit the model.
    """
    match dtype.method:
        case "fp32":
            return dict(weights)
        case "exact_gguf":
            if source.kind != "gguf":
                raise ValueError("method 'exact_gguf' needs a source of kind 'gguf'")
            return _in_graph(weights, _gguf_blocks(source))
        case "gptq":
            assert surveyed is not None
            return _in_graph(weights, _calibrated(dtype, source, directory, surveyed))
        case "rtn":
            return _each(weights, dtype, lambda w: rtn.quantize_rtn(
                w, dtype.bits, dtype.block_size, symmetric=False))  # fmt: skip
        case "hqq":
            return _each(weights, dtype, lambda w: hqq.quantize_hqq(w, dtype.bits, dtype.block_size))


def source_names(name: str) -> list[str]:
    """Return transformers' names of what the graph's weight ``name`` holds, stacked in this order."""
    plain = name.replace(".MatMul.", ".").replace(".attn.", ".self_attn.")
    if ".qkv_proj" in plain:
        return [plain.replace("qkv_proj", f"{part}_proj") for part in "qkv"]
    return [plain]


def _in_graph(weights: Weights, blocks: dict[str, BlockTensor]) -> Reduced:
    """Bring blocks under the graph's names; a weight without stays fp32, and so does a table that
    could not be looked up in blocks."""
    reduced: Reduced = {}
    for name, weight in weights.items():
        names = [part.removesuffix(".weight") for part in source_names(name)]
        if not all(part in blocks for part in names):
            reduced[name] = weight
            continue
        joined = exact_gguf.stack([blocks[part] for part in names])
        usable = name not in (TABLE, HEAD) or joined.minimum is None
        reduced[name] = joined if usable else weight
    return reduced


@lru_cache(maxsize=1)
def _gguf(path: Path) -> GgufFile:
    """Each dtype wants it, and its tokens are read one by one."""
    return GgufFile(path)


def _gguf_blocks(source: ModelSource) -> dict[str, BlockTensor]:
    tensors = _gguf(source.directory).tensors.items()
    found = {name.removesuffix(".weight"): tensor.blocks() for name, tensor in tensors}
    return {name: blocks for name, blocks in found.items() if blocks is not None}


def _each(weights: Weights, dtype: WeightsDtype, quantize: Callable[[Float], BlockTensor]) -> Reduced:
    reduced: Reduced = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            reduced[name] = weight
        elif name in (TABLE, HEAD):
            reduced[name] = rtn.quantize_rtn(
                weight, dtype.embedding_bits, dtype.block_size, symmetric=True
            )
        else:
            reduced[name] = quantize(weight)
    return reduced


def survey(directory: Path, output: Path) -> None:
    """Write what every ``gptq`` dtype of the model in ``directory`` wants to know of it."""
    found = llama.survey(_load(directory), _calibration(directory))
    np.savez(output, head=found.head, **found.fisher)  # type: ignore[arg-type]  # names, all of arrays


def _load(directory: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    resolve_kernels()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(str(directory), dtype=torch.float32).eval()
    model.config.use_cache = False
    return model


def _calibrated(
    dtype: WeightsDtype, source: ModelSource, directory: Path, surveyed: Path
) -> dict[str, BlockTensor]:
    model = _load(directory)
    with np.load(surveyed) as arrays:
        known = llama.Survey({n: arrays[n] for n in arrays.files if n != "head"}, arrays["head"])
    if source.kind == "gguf":
        kept = _gguf_blocks(source)
    else:  # what is kept of a full-precision source travels in 8 bits
        state = {n.removesuffix(".weight"): w.numpy() for n, w in model.state_dict().items()}
        kept = {n: rtn.quantize_rtn(w, 8, 32, symmetric=True) for n, w in state.items() if w.ndim == 2}
    settings = llama.Settings(
        linear_loss=dtype.linear_loss,
        embedding_step=dtype.embedding_step,
        kept_mantissa_bits=dtype.kept_mantissa_bits,
    )
    return llama.quantize_llama(model, _calibration(directory), kept, settings, known)


def _calibration(directory: Path) -> Any:
    """Windows of State of the Union text, spread over two centuries, far from what measures."""
    import torch

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    text = datasets.load_text("state-of-the-union")[HELD_OUT:]
    stride = len(text) // CALIBRATION_WINDOWS
    rows = []
    for index in range(CALIBRATION_WINDOWS):
        piece = text[index * stride : index * stride + 10 * CALIBRATION_WINDOW]
        ids = tokenizer.encode(piece, add_special_tokens=False).ids
        rows.append(ids[:CALIBRATION_WINDOW])
    return torch.tensor(rows)
