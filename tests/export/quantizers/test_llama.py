"""GPTQ through a tiny random Llama."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pesoleve.blocks import BlockTensor
from pesoleve.quantizers.fisher import output_fisher
from pesoleve.quantizers.llama import EMBEDDING, Settings, survey
from pesoleve.quantizers.llama import quantize_llama as quantize_surveyed
from pesoleve.quantizers.rtn import from_scales, quantize_rtn

SETTINGS = Settings(linear_loss=0.05, embedding_step=0.4, keep_below=0.0, block_size=32)


def quantize_llama(
    model: Any, text: Any, exact: dict[str, BlockTensor], settings: Settings
) -> dict[str, BlockTensor]:
    return quantize_surveyed(model, text, exact, settings, survey(model, text))


def tiny_llama() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.12,
    )
    return LlamaForCausalLM(config).eval()


def windows(seed: int = 1) -> Any:
    return torch.randint(0, 96, (8, 48), generator=torch.Generator().manual_seed(seed))


def source(model: Any) -> dict[str, BlockTensor]:
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    names = [EMBEDDING, *(name for name in names if name != "lm_head")]
    return {
        name: quantize_rtn(model.get_submodule(name).weight.detach().numpy(), 8, 32, symmetric=False)
        for name in names
    }


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(windows(2)).logits.log_softmax(-1)


def divergence(reference: Any, other: Any) -> float:
    return float((reference.exp() * (reference - other)).sum(-1).mean())


def put(model: Any, tensors: dict[str, BlockTensor]) -> None:
    for name, tensor in tensors.items():
        model.get_submodule(name).weight.data.copy_(torch.from_numpy(tensor.dequantize()))


def test_it_is_nearer_than_the_same_steps_rounded() -> None:
    model = tiny_llama()
    exact = source(model)
    put(model, exact)
    reference = logits(model)
    tensors = quantize_llama(model, windows(), exact, SETTINGS)
    ours = divergence(reference, logits(model))
    assert 0 < ours < 0.3
    assert tensors.keys() == exact.keys()
    plain = {
        name: from_scales(exact[name].dequantize(), tensor.scale.astype(np.float16), None, tensor.bits)
        for name, tensor in tensors.items()
    }
    put(model, plain)
    assert ours < divergence(reference, logits(model))
    put(model, tensors)
    assert divergence(reference, logits(model)) == pytest.approx(ours, rel=1e-4)


def test_less_loss_asked_for_is_less_loss() -> None:
    losses = []
    for linear_loss in (0.2, 0.01):
        model = tiny_llama()
        exact = source(model)
        put(model, exact)
        reference = logits(model)
        settings = dataclasses.replace(SETTINGS, linear_loss=linear_loss, embedding_step=0.1)
        quantize_llama(model, windows(), exact, settings)
        losses.append(divergence(reference, logits(model)))
    assert losses[1] < losses[0] / 3


def test_what_would_be_fine_is_kept() -> None:
    model = tiny_llama()
    exact = source(model)
    settings = dataclasses.replace(SETTINGS, keep_below=1e9)
    tensors = quantize_llama(model, windows(), exact, settings)
    assert all(tensors[name] is exact[name] for name in exact if name != EMBEDDING)
    rounded = quantize_llama(
        model, windows(), exact, dataclasses.replace(settings, kept_mantissa_bits=4)
    )
    name = "model.layers.0.mlp.up_proj"
    assert np.array_equal(rounded[name].q, exact[name].q)
    assert not (rounded[name].scale.view(np.uint16) & 0x3F).any()


def test_fisher_is_the_curvature_of_the_divergence() -> None:
    """½ f δ² for one output of one layer, against the divergence that δ makes."""
    model = tiny_llama()
    reference = logits(model)
    many = torch.cat([windows(seed) for seed in range(2, 12)])
    fisher = output_fisher(model, many)
    assert set(fisher) == set(source(model)) - {EMBEDDING}
    name, size = "model.layers.1.mlp.down_proj", 0.02
    layer = model.get_submodule(name)
    noise = torch.Generator().manual_seed(3)

    def add(_module: Any, _inputs: Any, output: Any) -> Any:
        return output + size * torch.randn(output.shape, generator=noise)

    hook = layer.register_forward_hook(add)
    measured = np.mean([divergence(reference, logits(model)) for _ in range(10)])
    hook.remove()
    assert measured == pytest.approx(size**2 / 2 * fisher[name].sum(), rel=0.2)
