"""Texts as token ids, in padded batches, and as the variations that a student learns from."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

MAX_LENGTH = 64
"""Tokens of a text while training; 1 in 300 snippets is longer."""


class TokenizedTexts:
    """Token ids of texts, special tokens included."""

    def __init__(
        self, tokenizer: Tokenizer, texts: Sequence[str], max_length: int = MAX_LENGTH
    ) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        self.ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        self.lengths = [len(ids) for ids in self.ids]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return ids and mask, both int64 (len(indices), longest)."""
        width = max(self.lengths[index] for index in indices)
        ids = torch.zeros(len(indices), width, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, index in enumerate(indices):
            ids[row, : self.lengths[index]] = torch.tensor(self.ids[index])
            mask[row, : self.lengths[index]] = 1
        return ids, mask


def vary(texts: Sequence[str], copies: int, seed: int) -> list[str]:
    """Return ``texts``, and of each ``copies`` variations: a part of it, or it with some words left out
    and some changed for others of the texts, as TinyBERT's students were given
    (https://arxiv.org/abs/1909.10351, there with words that a language model proposed)."""
    chance = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    varied = list(texts)
    for text in texts:
        own = text.split()
        for copy in range(copies):
            if copy % 2 == 0 and len(own) > 4:
                length = chance.randint(3, len(own) - 1)
                start = chance.randint(0, len(own) - length)
                varied.append(" ".join(own[start : start + length]))
            else:
                changed = [
                    chance.choice(words) if chance.random() < 0.15 else word
                    for word in own
                    if chance.random() > 0.1
                ]
                varied.append(" ".join(changed or own))
    return varied
