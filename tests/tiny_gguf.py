"""GGUF files of the tiny models, written as llama.cpp's convert_hf_to_gguf.py would have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from safetensors.numpy import load_file

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

PLAIN = ("F32", "F16", "BF16")
IN_BLOCKS = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
K_QUANTS = ("Q4_K", "Q6_K")
"""What gguf reads and does not write: their bytes are drawn at random."""

ARCHITECTURES = {"llama": "llama", "gemma3_text": "gemma3"}
STEMS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
}
NORMS = {
    "llama": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}

Kinds = Callable[[str], str]
"""GGUF's name of a matrix to the type that it is stored in."""


def every(kind: str) -> Kinds:
    return lambda _name: kind


def gguf_name(name: str, architecture: str) -> str:
    """transformers' name of a weight as llama.cpp has it."""
    stem = name.removesuffix(".weight")
    if stem in TOP:
        return f"{TOP[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{(STEMS | NORMS[architecture])[rest]}.weight"


def permute(weight: Floats, heads: int) -> Floats:
    """``LlamaModel.permute``: the two halves of a head's rows, interleaved."""
    rows = len(weight)
    return weight.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def random_k_quant(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Bytes:
    """Any bytes are valid levels and scales; only the fp16 factors must be numbers."""
    size, factors = {"Q4_K": (144, (0, 2)), "Q6_K": (210, (208,))}[kind]
    blocks = rng.integers(0, 256, (int(np.prod(shape)) // 256, size), dtype=np.uint8)
    for start in factors:
        values = rng.normal(0, 1e-4, len(blocks)).astype(np.float16)
        blocks[:, start : start + 2] = values.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(shape[0], -1)


def stored(weight: Floats, kind: str, rng: np.random.Generator) -> npt.NDArray[Any]:
    """``weight`` as a GGUF of this type has it; a K-quant's bytes have nothing to do with it."""
    if kind in K_QUANTS:
        return random_k_quant(kind, weight.shape, rng)
    return np.asarray(quantize(weight, GGMLQuantizationType[kind]))


def write_gguf(
    path: Path,
    directory: Path,
    kinds: Kinds = lambda _name: "F32",
    change: Callable[[GGUFWriter], None] = lambda _writer: None,
    architecture: str | None = None,
) -> None:
    """Write the model in ``directory``, its norms in F32, and the tokenizer that is trained with it."""
    config = json.loads((directory / "config.json").read_text())
    true_architecture = ARCHITECTURES[config["model_type"]]
    architecture = architecture or true_architecture
    writer = GGUFWriter(path, architecture)
    _add_settings(writer, config)
    _add_tokenizer(writer, json.loads((directory / "tokenizer.json").read_text()), directory)
    rng = np.random.default_rng(0)
    for name, weight in load_file(directory / "model.safetensors").items():
        stem = gguf_name(name, true_architecture)
        if weight.ndim == 1:
            shift = 1 if true_architecture == "gemma3" else 0
            writer.add_tensor(stem, weight + np.float32(shift))
            continue
        if true_architecture == "llama" and ".attn_q." in stem:
            weight = permute(weight, config["num_attention_heads"])
        if true_architecture == "llama" and ".attn_k." in stem:
            weight = permute(weight, config["num_key_value_heads"])
        kind = kinds(stem)
        writer.add_tensor(stem, stored(weight, kind, rng), raw_dtype=GGMLQuantizationType[kind])
    change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_settings(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_key_length(config["head_dim"])
    if "sliding_window" in config:
        writer.add_sliding_window(config["sliding_window"])


def _add_tokenizer(writer: GGUFWriter, tokenizer: Mapping[str, Any], directory: Path) -> None:
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(vocabulary[settings["bos_token"]])
    writer.add_eos_token_id(vocabulary[settings["eos_token"]])
    writer.add_chat_template(settings["chat_template"])
