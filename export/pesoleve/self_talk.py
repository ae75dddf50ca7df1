"""Conversations that a chat model makes up by itself, both sides: given the beginning of a user's turn
it writes a question, and then answers it (Magpie, Xu et al. 2024, arXiv:2406.08464)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pesoleve_worker.catalog import TextGeneration

from .chat import chat_prompt
from .torch_kernels import resolve_kernels

QUESTION_TOKENS = 48
QUESTION_TOP_K = 50
BATCH = 64
"""Conversations at once: enough for a processor to be busy, few enough for a few gigabytes."""


def talk(
    directory: Path,
    pipeline: TextGeneration,
    conversations: int,
    tokens: int,
    seed: int,
    report: Callable[[str], None],
) -> list[list[int]]:
    """Return the ids of answers, each with the three tokens of the prompt before it, and with its end.

    Args:
        directory: the model in the Hugging Face layout.
        tokens: the most in an answer, which takes the likeliest token every time.
        report: told where it is, after every token.
    """
    import torch
    from transformers import AutoModelForCausalLM

    resolve_kernels()
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))

    def ids_of(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    marker = "QUESTION"
    before, after = chat_prompt([{"role": "user", "content": marker}], pipeline).split(marker)
    ends = set(pipeline.eos_token_ids)
    # Where nothing comes before a question, the end of another text does.
    opening, closing = ids_of(before) or [min(ends)], ids_of(after)
    torch.manual_seed(seed)
    answers: list[list[int]] = []
    while len(answers) < conversations:
        size = min(BATCH, conversations - len(answers))
        steps = count()

        def step(steps: Iterator[int] = steps) -> None:
            whole = QUESTION_TOKENS + tokens
            report(f"{len(answers)} of {conversations} conversations, token {next(steps)} of {whole}")

        sample = {"do_sample": True, "temperature": 1.0, "top_k": QUESTION_TOP_K}
        questions = _continue(model, [opening] * size, QUESTION_TOKENS, ends, step, **sample)
        prompts = [[*opening, *_before_end(ids, ends), *closing] for ids in questions]
        for prompt, ids in zip(prompts, _continue(model, prompts, tokens, ends, step), strict=True):
            end = next((at + 1 for at, token in enumerate(ids) if token in ends), len(ids))
            answers.append([*prompt[-3:], *ids[:end]])
    return answers


def _continue(
    model: Any,
    prompts: list[list[int]],
    tokens: int,
    ends: set[int],
    step: Callable[[], None],
    **how: Any,
) -> list[list[int]]:
    import torch

    def go_on(ids: Any, _scores: Any, **_: Any) -> Any:
        step()
        return torch.zeros(len(ids), dtype=torch.bool)

    longest = max(map(len, prompts))
    padding = min(ends)
    padded = [[padding] * (longest - len(ids)) + ids for ids in prompts]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    with torch.inference_mode():
        made = model.generate(
            torch.tensor(padded),
            attention_mask=torch.tensor(mask),
            max_new_tokens=tokens,
            eos_token_id=sorted(ends),
            pad_token_id=padding,
            stopping_criteria=[go_on],
            **({"do_sample": False} | how),
        )
    continued: list[list[int]] = made[:, longest:].tolist()
    return continued


def _before_end(ids: list[int], ends: set[int]) -> list[int]:
    end = next((at for at, token in enumerate(ids) if token in ends), len(ids))
    return ids[:end]
