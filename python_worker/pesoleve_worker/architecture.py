"""Every tensor of a model, from its ``config.json`` alone; standard library only.

The shapes are those of transformers' classes (``modeling_<family>.py``); tests hold them to theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from .model_config import Config, ConfigError, ConfigReader, completed


@dataclass(frozen=True)
class TensorShape:
    """``kind``: ``embedding`` is looked up, ``matrix`` is multiplied with, ``vector`` is the rest."""

    name: str
    kind: str
    shape: tuple[int, ...]
    tied_to: str | None = None
    """The tensor that it is one with: it is computed with, and not stored."""

    @property
    def count(self) -> int:
        return prod(self.shape)


def _matrix(name: str, rows: int, columns: int, bias: bool) -> Iterator[TensorShape]:
    yield TensorShape(f"{name}.weight", "matrix", (rows, columns))
    if bias:
        yield TensorShape(f"{name}.bias", "vector", (rows,))


def _vectors(
    name: str, size: int, parts: tuple[str, ...] = ("weight", "bias")
) -> Iterator[TensorShape]:
    for part in parts:
        yield TensorShape(f"{name}.{part}", "vector", (size,))


def _table(name: str, rows: int, columns: int) -> TensorShape:
    return TensorShape(f"{name}.weight", "embedding", (rows, columns))


def _head(read: ConfigReader, tied: bool, embedding: str, rows: int, columns: int) -> TensorShape:
    to = f"{embedding}.weight" if read.flag("tie_word_embeddings", tied) else None
    return TensorShape("lm_head.weight", "matrix", (rows, columns), to)


@dataclass(frozen=True)
class _Decoder:
    """Where the decoders with rotary positions and gated feed-forward differ."""

    tied: bool = False
    qkv_bias: bool | None = False
    """None: as ``attention_bias`` says."""
    head_norms: bool = False
    layer_norms: int = 2
    fused: bool = False


def _decoder(family: _Decoder) -> Callable[[Config], Iterator[TensorShape]]:
    def tensors(config: Config) -> Iterator[TensorShape]:
        read = ConfigReader(config)
        vocabulary, hidden = read.count("vocab_size"), read.count("hidden_size")
        heads = read.count("num_attention_heads")
        kv_heads = read.count("num_key_value_heads", heads)
        size = read.count("head_dim", hidden // heads)
        inner = read.count("intermediate_size")
        said = read.flag("attention_bias", False)
        qkv_bias = said if family.qkv_bias is None else family.qkv_bias
        out_bias = said and family.qkv_bias is None
        mlp_bias = read.flag("mlp_bias", False)
        yield _table("model.embed_tokens", vocabulary, hidden)
        for layer in range(read.layers("num_hidden_layers")):
            at = f"model.layers.{layer}"
            if family.fused:
                width = (heads + 2 * kv_heads) * size
                yield from _matrix(f"{at}.self_attn.qkv_proj", width, hidden, False)
            else:
                yield from _matrix(f"{at}.self_attn.q_proj", heads * size, hidden, qkv_bias)
                for name in ("k_proj", "v_proj"):
                    yield from _matrix(f"{at}.self_attn.{name}", kv_heads * size, hidden, qkv_bias)
            yield from _matrix(f"{at}.self_attn.o_proj", hidden, heads * size, out_bias)
            if family.head_norms:
                yield from _vectors(f"{at}.self_attn.q_norm", size, ("weight",))
                yield from _vectors(f"{at}.self_attn.k_norm", size, ("weight",))
            if family.fused:
                yield from _matrix(f"{at}.mlp.gate_up_proj", 2 * inner, hidden, False)
            else:
                yield from _matrix(f"{at}.mlp.gate_proj", inner, hidden, mlp_bias)
                yield from _matrix(f"{at}.mlp.up_proj", inner, hidden, mlp_bias)
            yield from _matrix(f"{at}.mlp.down_proj", hidden, inner, mlp_bias)
            for norm in range(family.layer_norms):
                yield from _vectors(f"{at}.norm.{norm}", hidden, ("weight",))
        yield from _vectors("model.norm", hidden, ("weight",))
        yield _head(read, family.tied, "model.embed_tokens", vocabulary, hidden)

    return tensors


def _gpt2(config: Config) -> Iterator[TensorShape]:
    read = ConfigReader(config)
    vocabulary, hidden = read.count("vocab_size"), read.count("n_embd")
    inner = read.count("n_inner")
    yield _table("transformer.wte", vocabulary, hidden)
    yield _table("transformer.wpe", read.count("n_positions"), hidden)
    for layer in range(read.layers("n_layer")):
        at = f"transformer.h.{layer}"
        yield from _vectors(f"{at}.ln_1", hidden)
        yield from _matrix(f"{at}.attn.c_attn", 3 * hidden, hidden, True)
        yield from _matrix(f"{at}.attn.c_proj", hidden, hidden, True)
        yield from _vectors(f"{at}.ln_2", hidden)
        yield from _matrix(f"{at}.mlp.c_fc", inner, hidden, True)
        yield from _matrix(f"{at}.mlp.c_proj", hidden, inner, True)
    yield from _vectors("transformer.ln_f", hidden)
    yield _head(read, True, "transformer.wte", vocabulary, hidden)


def _encoder_layer(at: str, hidden: int, inner: int) -> Iterator[TensorShape]:
    for name in ("query", "key", "value", "output"):
        yield from _matrix(f"{at}.attention.{name}", hidden, hidden, True)
    yield from _vectors(f"{at}.attention.LayerNorm", hidden)
    yield from _matrix(f"{at}.intermediate", inner, hidden, True)
    yield from _matrix(f"{at}.output", hidden, inner, True)
    yield from _vectors(f"{at}.output.LayerNorm", hidden)


def _bert(config: Config) -> Iterator[TensorShape]:
    read = ConfigReader(config)
    hidden, inner = read.count("hidden_size"), read.count("intermediate_size")
    yield _table("embeddings.word", read.count("vocab_size"), hidden)
    yield _table("embeddings.position", read.count("max_position_embeddings"), hidden)
    yield _table("embeddings.token_type", read.count("type_vocab_size", 2), hidden)
    yield from _vectors("embeddings.LayerNorm", hidden)
    for layer in range(read.layers("num_hidden_layers")):
        yield from _encoder_layer(f"encoder.layer.{layer}", hidden, inner)
    yield from _matrix("pooler.dense", hidden, hidden, True)


def _distilbert(config: Config) -> Iterator[TensorShape]:
    read = ConfigReader(config)
    hidden, inner = read.count("dim"), read.count("hidden_dim")
    yield _table("embeddings.word", read.count("vocab_size"), hidden)
    yield _table("embeddings.position", read.count("max_position_embeddings"), hidden)
    yield from _vectors("embeddings.LayerNorm", hidden)
    for layer in range(read.layers("n_layers")):
        yield from _encoder_layer(f"transformer.layer.{layer}", hidden, inner)


def _albert(config: Config) -> Iterator[TensorShape]:
    """The layers of a group are one: they are stored, and counted, once."""
    read = ConfigReader(config)
    narrow, hidden = read.count("embedding_size", 128), read.count("hidden_size")
    yield _table("embeddings.word", read.count("vocab_size"), narrow)
    yield _table("embeddings.position", read.count("max_position_embeddings"), narrow)
    yield _table("embeddings.token_type", read.count("type_vocab_size", 2), narrow)
    yield from _vectors("embeddings.LayerNorm", narrow)
    yield from _matrix("encoder.embedding_hidden_mapping_in", hidden, narrow, True)
    groups, layers = read.layers("num_hidden_groups", 1), read.layers("inner_group_num", 1)
    for layer in range(groups * layers):
        yield from _encoder_layer(f"encoder.layer.{layer}", hidden, read.count("intermediate_size"))
    yield from _matrix("pooler", hidden, hidden, True)


def _t5(config: Config) -> Iterator[TensorShape]:
    read = ConfigReader(config)
    vocabulary, hidden = read.count("vocab_size"), read.count("d_model")
    heads, inner = read.count("num_heads"), read.count("d_ff")
    width = heads * read.count("d_kv")
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
    yield _table("shared", vocabulary, hidden)
    layers = read.layers("num_layers")
    stacks = {"encoder": layers, "decoder": read.layers("num_decoder_layers", layers)}
    for stack, depth in stacks.items():
        attentions = ("self",) if stack == "encoder" else ("self", "cross")
        for layer in range(depth):
            at = f"{stack}.block.{layer}"
            for attention in attentions:
                for name in ("q", "k", "v"):
                    yield from _matrix(f"{at}.{attention}.{name}", width, hidden, False)
                yield from _matrix(f"{at}.{attention}.o", hidden, width, False)
                yield from _vectors(f"{at}.{attention}.layer_norm", hidden, ("weight",))
            for name in ("wi_0", "wi_1") if gated else ("wi",):
                yield from _matrix(f"{at}.{name}", inner, hidden, False)
            yield from _matrix(f"{at}.wo", hidden, inner, False)
            yield from _vectors(f"{at}.layer_norm", hidden, ("weight",))
        buckets = read.count("relative_attention_num_buckets", 32)
        yield _table(f"{stack}.relative_attention_bias", buckets, heads)
        yield from _vectors(f"{stack}.final_layer_norm", hidden, ("weight",))
    yield _head(read, True, "shared", vocabulary, hidden)


FAMILIES: Mapping[str, Callable[[Config], Iterator[TensorShape]]] = {
    "llama": _decoder(_Decoder(qkv_bias=None)),
    "mistral": _decoder(_Decoder()),
    "qwen2": _decoder(_Decoder(qkv_bias=True)),
    "qwen3": _decoder(_Decoder(qkv_bias=None, head_norms=True)),
    "phi3": _decoder(_Decoder(fused=True)),
    "gemma": _decoder(_Decoder(tied=True, qkv_bias=None)),
    "gemma2": _decoder(_Decoder(tied=True, qkv_bias=None, layer_norms=4)),
    "gemma3_text": _decoder(_Decoder(tied=True, qkv_bias=None, layer_norms=4, head_norms=True)),
    "gpt2": _gpt2,
    "bert": _bert,
    "roberta": _bert,
    "distilbert": _distilbert,
    "albert": _albert,
    "t5": _t5,
}
"""By ``model_type``. SmolLM is a Llama; MiniLM is a BERT, XLM-RoBERTa a RoBERTa in shape."""


def tensors_of(config: Config) -> list[TensorShape]:
    """Return every parameter tensor of the model that ``config`` describes.

    Encoders are counted with their pooler and without a head, decoders and T5 with their head.

    Raises:
        ConfigError: where ``model_type`` has no formula here, or a key is missing or is no count.
    """
    config = completed(config)
    family = config["model_type"]
    if family not in FAMILIES:
        raise ConfigError("unknown_family", family[:40], known=FAMILIES)
    return list(FAMILIES[family](config))
