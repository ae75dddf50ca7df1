"""How much each output of each linear layer matters: E[g²], and the inputs of the last one.

g is the gradient of log p(token) at the layer's output, with the token drawn from the model itself: the
diagonal of the Fisher information, which is the curvature of KL(source ‖ quantized) at the source.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .steps import Double


def output_fisher(model: Any, windows: Any, *, seed: int = 0) -> dict[str, Double]:
    """Return E[g²] for the outputs of every ``nn.Linear`` of ``model`` but the head.

    Args:
        model: a causal language model in the layout of transformers.
        windows: token ids, int64, (count, length): a few thousand tokens are enough.
    """
    totals: dict[str, Double] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings():
            hooks.append(module.register_full_backward_hook(_adds_squares(totals, name)))
    generator = torch.Generator().manual_seed(seed)
    try:
        for window in windows:
            vectors = model.get_input_embeddings()(window[None]).detach().requires_grad_(True)
            logits = model(inputs_embeds=vectors, use_cache=False).logits[0].log_softmax(-1)
            drawn = torch.multinomial(logits.detach().exp(), 1, generator=generator)
            # Summed, not averaged: crossed terms of different positions are zero on average.
            torch.autograd.grad(logits.gather(1, drawn).sum(), vectors)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / windows.numel() for name, total in totals.items()}


def _adds_squares(totals: dict[str, Double], name: str) -> Any:
    def add(_module: Any, _inputs: Any, outputs: Any) -> None:
        squares = outputs[0].detach().double().square().sum((0, 1)).numpy()
        totals[name] = totals.get(name, np.float64(0)) + squares

    return add
