"""GPTQ through a Llama, layer after layer, each calibrated on what the quantized ones before it give.

    tokens ─► embedding ─► [norm ─► q k v ─► attention ─► o ─► norm ─► gate up ─► down] × n ─► head
                                 Ĥ                     Ĥ            Ĥ            Ĥ

Ĥ marks where inputs are gathered and the weights that read them replaced, before anything further is
computed; so one pass over the calibration text is enough. How wide each step is, see ``steps.py``.

The source model walks along: weights are first moved towards those that, from the inputs there are now,
give what the source gives (as in GPTAQ, Li et al. 2025, https://arxiv.org/abs/2504.02692).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ..blocks import BlockTensor, Float
from .fisher import output_fisher
from .gptq import Inputs, quantize_gptq, towards_source
from .scales import round_mantissa, round_scales
from .steps import Double, predicted_loss, rank_factors, relative_step, rms_steps

EMBEDDING = "model.embed_tokens"
FISHER_WINDOWS = 4
NARROWEST_PLANE = 0.45
"""Relative step from which 16 levels reach far enough (3.6 standard deviations); below, 8 bits."""


@dataclass(frozen=True)
class Settings:
    """How small. Steps are relative to a block's (the embedding: a row's) root mean square.

    Attributes:
        linear_loss: KL predicted for all weights of the layers, were none kept.
        keep_below: a tensor whose step would be less is kept as it came.
        embedding_step: of the embedding, which is the head too.
        embedding_exponent: how much finer the steps of frequent tokens are; 0 for not at all.
        kept_mantissa_bits: of the scales and minimums of kept tensors; 10 leaves them.
    """

    linear_loss: float
    embedding_step: float
    embedding_exponent: float = 0.35
    keep_below: float = 0.33
    block_size: int = 64
    widest_step: float = 1.5
    kept_mantissa_bits: int = 10
    damping: float = 0.01
    correction: float = 0.5
    """How far weights move to make good what earlier layers lost: 0 not at all, 1 by least squares."""


@dataclass(frozen=True)
class Survey:
    """What the unquantized model tells of itself, once for all settings.

    Attributes:
        fisher: how much each output of each linear layer matters (``output_fisher``).
        head: E[x xᵀ] of the head's inputs, (H, H).
    """

    fisher: Mapping[str, Double]
    head: Double


def survey(model: Any, windows: Any) -> Survey:
    """Survey a LlamaForCausalLM on calibration text: token ids, int64, (count, length)."""
    fisher = output_fisher(model, windows[:: max(1, len(windows) // FISHER_WINDOWS)])
    with torch.no_grad():
        hidden = [model.model(window[None], use_cache=False).last_hidden_state[0] for window in windows]
        return Survey(fisher, _second_moment(torch.cat(hidden)))


def quantize_llama(
    model: Any,
    windows: Any,
    source: Mapping[str, BlockTensor],
    settings: Settings,
    surveyed: Survey,
) -> dict[str, BlockTensor]:
    """Quantize the linear layers and the tied embedding of ``model``, and put them into it.

    Args:
        model: a LlamaForCausalLM, float32; its weights are replaced.
        windows: calibration text, token ids, int64, (count, length).
        source: the model's weights by module name, as they came: what is kept is taken from here.
        surveyed: of the same model, not yet quantized.
    """
    embedding = quantize_head(source[EMBEDDING].dequantize(), surveyed.head, settings)
    with torch.no_grad():
        return _Pass(model, source, surveyed.fisher, settings).run(windows, embedding)


def quantize_head(weight: Float, hessian: Double, settings: Settings) -> BlockTensor:
    """Quantize a table that is both the embedding and the head, (V, H), with one scale a row.

    ``hessian`` is of the head's inputs; a tenth of its mean is added for the table's other use, where
    no direction is known to matter more than another.
    """
    columns = weight.shape[1]
    both = hessian + 0.1 * np.trace(hessian) / columns * np.eye(columns)
    spread = np.sqrt(np.square(weight).mean(axis=1, keepdims=True))
    factors = rank_factors(len(weight), settings.embedding_exponent)
    steps = round_mantissa(spread * factors * np.float32(settings.embedding_step), 3)
    return quantize_gptq(weight, Inputs.of(both, 0.001, act_order=True), 8, columns, step=steps)


class _Pass:
    """One walk through the layers; ``done`` is what has been quantized so far."""

    def __init__(
        self,
        model: Any,
        source: Mapping[str, BlockTensor],
        fisher: Mapping[str, Double],
        settings: Settings,
    ) -> None:
        self.model, self.source, self.fisher, self.settings = model, source, fisher, settings
        self.weights = sum(source[name].q.size for name in fisher)
        self.done: dict[str, BlockTensor] = {}
        self.inputs: list[Any] = []  # of the source's q k v, o, gate up and down, in this layer

    def run(self, windows: Any, embedding: BlockTensor) -> dict[str, BlockTensor]:
        decoder = self.model.model
        source = decoder.embed_tokens(windows)
        _put(decoder.embed_tokens, embedding)
        states = decoder.embed_tokens(windows)
        positions = decoder.rotary_emb(states, torch.arange(windows.shape[1])[None])
        for index, layer in enumerate(decoder.layers):
            source = self._watch(layer, source, positions)
            states = self._layer(f"model.layers.{index}", layer, states, positions)
        return {EMBEDDING: embedding, **self.done}

    def _watch(self, layer: Any, states: Any, positions: Any) -> Any:
        """Take the source's ``states`` through a layer not yet replaced; keep what its weights read."""
        attention, mlp = layer.self_attn, layer.mlp
        places = [attention.q_proj, attention.o_proj, mlp.gate_proj, mlp.down_proj]
        hooks = [
            module.register_forward_pre_hook(lambda _, given: self.inputs.append(given[0]))
            for module in places
        ]
        self.inputs.clear()
        inputs = layer.input_layernorm(states)
        states = states + attention(inputs, position_embeddings=positions, attention_mask=None)[0]
        states = states + mlp(layer.post_attention_layernorm(states))
        for hook in hooks:
            hook.remove()
        return states

    def _layer(self, name: str, layer: Any, states: Any, positions: Any) -> Any:
        attention, mlp = layer.self_attn, layer.mlp
        inputs = layer.input_layernorm(states)
        self._replace(f"{name}.self_attn", attention, ("q_proj", "k_proj", "v_proj"), inputs)
        seen: list[Any] = []
        hook = attention.o_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        attention(inputs, position_embeddings=positions, attention_mask=None)
        hook.remove()
        self._replace(f"{name}.self_attn", attention, ("o_proj",), seen[0])
        states = states + attention.o_proj(seen[0])
        inputs = layer.post_attention_layernorm(states)
        self._replace(f"{name}.mlp", mlp, ("gate_proj", "up_proj"), inputs)
        inner = mlp.act_fn(mlp.gate_proj(inputs)) * mlp.up_proj(inputs)
        self._replace(f"{name}.mlp", mlp, ("down_proj",), inner)
        return states + mlp.down_proj(inner)

    def _replace(self, parent: str, module: Any, names: tuple[str, ...], inputs: Any) -> None:
        now = inputs.reshape(-1, inputs.shape[-1])
        hessian = _second_moment(now)
        drift = _second_moment(self.inputs.pop(0).reshape(now.shape) - now, now)
        known = Inputs.of(hessian, self.settings.damping, act_order=True)
        full = [f"{parent}.{name}" for name in names]
        weights = [self.source[name].dequantize() for name in full]
        change = towards_source(np.concatenate(weights), hessian, drift)
        changes = np.split(change, np.cumsum([len(weight) for weight in weights])[:-1])
        with ThreadPoolExecutor() as pool:  # numpy lets go of Python's lock in its longer loops
            tensors = pool.map(partial(self._quantize, known), full, weights, changes)
            for name, tensor in zip(names, tensors, strict=True):
                self.done[f"{parent}.{name}"] = tensor
                _put(getattr(module, name), tensor)

    def _quantize(self, inputs: Inputs, name: str, weight: Float, change: Double) -> BlockTensor:
        settings = self.settings
        unit = rms_steps(weight, settings.block_size)
        loss = predicted_loss(unit, inputs, self.fisher[name])
        relative = relative_step(loss, weight.size, settings.linear_loss / self.weights)
        if relative < settings.keep_below:
            bits = settings.kept_mantissa_bits
            return self.source[name] if bits >= 10 else round_scales(self.source[name], bits)
        relative = min(relative, settings.widest_step)
        weight = (weight + settings.correction * change).astype(np.float32)
        return quantize_gptq(
            weight,
            inputs,
            4 if relative >= NARROWEST_PLANE else 8,
            settings.block_size,
            step=rms_steps(weight, settings.block_size, relative),
        )


def _second_moment(inputs: Any, others: Any = None) -> Double:
    """E[x yᵀ] of inputs and others (or the inputs) (count, K), float64, (K, K)."""
    others = inputs if others is None else others
    moment: Double = (inputs.T @ others).double().numpy() / len(inputs)
    return moment


def _put(module: Any, tensor: BlockTensor) -> None:
    module.weight.data.copy_(torch.from_numpy(tensor.dequantize()))
