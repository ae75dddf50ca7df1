"""A Llama and a Gemma 3 with random weights and a tokenizer trained on a few lines: real but for sense.

Each dimension is a multiple of 32, as blocks want, and the feed-forward one of 256, as K-quants do.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

HIDDEN = 64
INTERMEDIATE = 256
LAYERS = 2
HEADS = 4
KV_HEADS = 2
VOCABULARY = 320
CONTEXT = 256

GEMMA_HIDDEN = 96  # whose root is no round number: the embeddings are multiplied by it
GEMMA_LAYERS = 8  # the sixth attends to everything
WINDOW = 8

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END, IM_START, IM_END = range(3)
LINES = [
    "How much does a feather weigh? Less than an onion, and more than a thought.",
    "Peso leve é português para lightweight: não, você, coração, pão de açúcar.",
    "user assistant system You are a helpful scale. 0123456789 👍 🇧🇷",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_level_tokenizer() -> Tokenizer:
    """Byte-level BPE that splits text as SmolLM does: digits alone, then GPT-2's pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 4, trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def write_tiny_llama(directory: Path, *, tied: bool = True) -> None:
    """Write a Llama in the Hugging Face layout, the same every time."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT,
        rope_theta=5000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=tied,
        bos_token_id=IM_START,
        eos_token_id=IM_END,
    )
    torch.manual_seed(0)
    _write(directory, LlamaForCausalLM(config))


def write_tiny_gemma(directory: Path) -> None:
    """Write a Gemma 3 in the Hugging Face layout, the same every time."""
    config = Gemma3TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=GEMMA_HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=GEMMA_LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=WINDOW,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-6,
        bos_token_id=IM_START,
        eos_token_id=IM_END,
        pad_token_id=END,
    )
    torch.manual_seed(0)
    _write(directory, Gemma3ForCausalLM(config))


def _write(directory: Path, model: torch.nn.Module) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for parameter in model.parameters():  # or every norm is 1, and no token is likelier than others
            parameter.add_(torch.randn_like(parameter), alpha=0.12)
    model.eval().save_pretrained(str(directory), safe_serialization=True)
    byte_level_tokenizer().save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
        "bos_token": SPECIAL[IM_START],
        "eos_token": SPECIAL[IM_END],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
