"""Conversations to prompts in CPython, as transformers does it; in the page ``@huggingface/jinja`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2.sandbox import ImmutableSandboxedEnvironment

from pesoleve_worker.catalog import TextGeneration


def chat_prompt(messages: Sequence[Mapping[str, str]], pipeline: TextGeneration) -> str:
    """Return the prompt that asks for the next answer."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(pipeline.chat_template).render(
        messages=list(messages),
        add_generation_prompt=True,
        bos_token=pipeline.bos_token,
        eos_token=pipeline.eos_token,
    )
