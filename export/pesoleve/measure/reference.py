"""What transformers itself answers, from the source's own files: the reference for every dtype."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..torch_kernels import resolve_kernels

BATCH = 32


def reference_vectors(
    model_directory: Path, texts: list[str], max_length: int, mode: str, normalize: bool
) -> npt.NDArray[np.float32]:
    """Embed ``texts`` with transformers in fp32 on the CPU; returns (len(texts), hidden)."""
    import torch
    from transformers import AutoModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    resolve_kernels()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(model_directory / "tokenizer.json"), pad_token="[PAD]"
    )
    model = AutoModel.from_pretrained(str(model_directory), dtype=torch.float32).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(texts)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            indices = order[start : start + BATCH]
            batch = tokenizer(
                [texts[i] for i in indices],
                padding=True,
                truncation=True,
                max_length=max_length,
                return_tensors="pt",
            )
            hidden = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state
            if mode == "cls":
                vectors = hidden[:, 0]
            else:
                mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                vectors = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            if normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
            for index, vector in zip(indices, vectors.numpy(), strict=True):
                rows[index] = vector
    return np.stack(rows)
