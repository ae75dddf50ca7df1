"""A GGUF file: its tensors under their transformers names, and its model in the Hugging Face layout.

llama.cpp stores the query and key projections of the Llama family with their rows permuted, for its
interleaved rotary embedding, and Gemma's norms with one added; both are undone here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file

from ..blocks import BlockTensor, Float
from ..errors import SourceError
from ..graph.exact_gguf import read_blocks
from ..recipe_base import GgufSource
from .files import ModelSource
from .gguf_tokenizer import tokenizer_files
from .package import package_path

TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q6_K")
"""The tensor types that load."""

COMMON = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NAMES = {
    "llama": COMMON | {"ffn_norm": "post_attention_layernorm"},
    "gemma3": COMMON
    | {
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
}
"""By architecture, GGUF's name of a tensor and transformers'."""

ROPE_SCALING = ("rope_freqs.weight", "rope.scaling.factor", "rope.scaling.type")
"""What tells that angles are not by the plain formula: a tensor of factors, or a setting."""

CONFIG_KEYS = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
MODEL_TYPE = {"llama": "llama", "gemma3": "gemma3_text"}
ARCHITECTURE = {"llama": "LlamaForCausalLM", "gemma3": "Gemma3ForCausalLM"}


@dataclass(frozen=True)
class GgufTensor:
    """``raw`` is uint8, shape (N, bytes of a row); row ``n`` of the matrix is its row ``order[n]``."""

    kind: str
    raw: npt.NDArray[np.uint8]
    order: npt.NDArray[np.intp] | None
    shift: float

    def blocks(self) -> BlockTensor | None:
        """The integers as they are, or None for a floating-point type."""
        return read_blocks(self.kind, self._rows())

    def values(self) -> Float:
        """The dequantized tensor, float32."""
        kind = GGMLQuantizationType[self.kind]
        return np.asarray(dequantize(self._rows(), kind), np.float32) + np.float32(self.shift)

    def _rows(self) -> npt.NDArray[np.uint8]:
        return self.raw if self.order is None else self.raw[self.order]


class GgufFile:
    """A GGUF file that holds a language model of a known family.

    Raises:
        SourceError: when the file is damaged, or of an architecture or tensor type that is not known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._reader = GGUFReader(path)
            self.metadata = {k: f.contents() for k, f in self._reader.fields.items()}
        except (ValueError, IndexError, OSError, KeyError, OverflowError) as error:
            raise SourceError(
                f"{path} cannot be read as GGUF: {error}. It may be truncated; fetch it again."
            ) from error
        self.architecture = str(self.metadata.get("general.architecture"))
        if self.architecture not in NAMES:
            raise SourceError(
                f"{path} is of architecture {self.architecture!r}; there are: {', '.join(NAMES)}"
            )
        self.config = self._config()
        self._refuse_scaling()
        self.tensors = dict(self._read(tensor) for tensor in self._reader.tensors)
        if "lm_head.weight" in self.tensors:
            self.config["tie_word_embeddings"] = False

    def write_directory(self, output: Path) -> None:
        """Write the model, dequantized to fp32, as transformers reads it."""
        weights = {name: tensor.values() for name, tensor in self.tensors.items()}
        save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
        files = {"config.json": self.config, **tokenizer_files(self.metadata, self.path)}
        for name, content in files.items():
            text = json.dumps(content, ensure_ascii=False)
            (output / name).write_text(text, encoding="utf-8")

    def _config(self) -> dict[str, Any]:
        prefix = f"{self.architecture}."
        own = {k[len(prefix) :]: v for k, v in self.metadata.items() if k.startswith(prefix)}
        lacking = [key for key in CONFIG_KEYS if key not in own and not key.startswith("rope")]
        if lacking:
            raise SourceError(f"{self.path} has no {prefix}{', '.join(lacking)}")
        config: dict[str, Any] = {hf: own[key] for key, hf in CONFIG_KEYS.items() if key in own}
        heads = config["num_attention_heads"]
        config["head_dim"] = own.get("attention.key_length", config["hidden_size"] // heads)
        config["vocab_size"] = len(self.metadata.get("tokenizer.ggml.tokens", []))
        config["model_type"] = MODEL_TYPE[self.architecture]
        config["architectures"] = [ARCHITECTURE[self.architecture]]
        config["tie_word_embeddings"] = True
        config["torch_dtype"] = "float32"
        for name in ("bos", "eos", "padding"):
            value = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
            config[f"{name.replace('padding', 'pad')}_token_id"] = value
        if self.architecture == "gemma3":
            config["sliding_window"] = own.get("attention.sliding_window", 512)
            config["query_pre_attn_scalar"] = config["head_dim"]
            config["hidden_activation"] = "gelu_pytorch_tanh"
        return config

    def _refuse_scaling(self) -> None:
        """As Llama 3.1 and the larger Gemma 3 have it: the decoder's graph would be wrong."""
        named = {tensor.name for tensor in self._reader.tensors}
        for name in ROPE_SCALING:
            if name in named or self.metadata.get(f"{self.architecture}.{name}") not in (None, "none"):
                raise SourceError(
                    f"{self.path} scales its rotary embedding ({name}); that is not supported"
                )

    def _read(self, tensor: Any) -> tuple[str, GgufTensor]:
        kind = tensor.tensor_type.name
        if kind not in TYPES:
            raise SourceError(
                f"{self.path}: tensor {tensor.name} is of type {kind}; there are: {', '.join(TYPES)}"
            )
        parts = tensor.name.split(".")
        layer = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
        stem = parts[2] if layer else parts[0]
        known = NAMES[self.architecture]
        if stem not in known:
            raise SourceError(f"{self.path}: a {self.architecture} model has no tensor {tensor.name}")
        name = f"{layer}{known[stem]}.{parts[-1]}"
        raw = np.ascontiguousarray(tensor.data).view(np.uint8)
        order = None
        if self.architecture == "llama" and stem in ("attn_q", "attn_k"):
            key = "num_attention_heads" if stem == "attn_q" else "num_key_value_heads"
            order = _unpermuted(len(raw), int(self.config[key]))
        norm = self.architecture == "gemma3" and "norm" in stem
        return name, GgufTensor(kind, raw, order, -1.0 if norm else 0.0)


def _unpermuted(rows: int, heads: int) -> npt.NDArray[np.intp]:
    """The inverse of ``permute`` in llama.cpp's convert_hf_to_gguf.py, as an order of rows."""
    return np.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).reshape(-1)


def from_gguf(source: GgufSource) -> ModelSource:
    """Find the file, in an installed package or on disk; ``directory`` is the one that holds it."""
    if source.package is not None and source.version is not None:
        path = package_path(source.package, source.version, str(source.path))
        locator, revision = f"pypi:{source.package}/{path.name}", source.version
    else:
        path, locator, revision = source.path, source.path.name, ""
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelSource("gguf", locator, revision, path, sha256)
