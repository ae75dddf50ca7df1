"""A BERT with random weights and a vocabulary of its own: real in every way but size and sense."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

HIDDEN = 64
HEADS = 4
LAYERS = 2
POSITIONS = 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CLS, SEP = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
WORDS = (
    "a an and are at bag bird boxer cat child dog feather fight for girl guitar horse how in is "
    "light man model much of on onion peso playing running scale small street the to two under "
    "weigh weight what with woman"
)


def vocabulary() -> dict[str, int]:
    """Special tokens, then characters alone and inside a word, then whole words."""
    characters = string.ascii_lowercase + string.digits
    tokens = [*SPECIAL, *characters, *string.punctuation]
    tokens += [f"##{character}" for character in characters]
    tokens += [word for word in WORDS.split() if word not in tokens]
    return {token: index for index, token in enumerate(tokens)}


def write_tokenizer(path: Path) -> None:
    """Write a ``tokenizer.json`` that works as BERT's does.

    It cuts and pads by itself, as MiniLM's does: the pipeline must not let it.
    """
    tokenizer = Tokenizer(WordPiece(vocabulary(), unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    tokenizer.enable_truncation(max_length=6)
    tokenizer.enable_padding(length=6)
    tokenizer.save(str(path))


def write_tiny_bert(directory: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json``, the same every time."""
    directory.mkdir(parents=True, exist_ok=True)
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * HIDDEN,
        max_position_embeddings=POSITIONS,
    )
    torch.manual_seed(0)
    model = BertModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # or biases are 0 and gains 1, and prove nothing
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    model.save_pretrained(str(directory), safe_serialization=True)
    write_tokenizer(directory / "tokenizer.json")
