"""Conversations to prompts as transformers makes them; in the page ``@huggingface/jinja`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pesoleve_worker.catalog import TextGeneration


def _refuse(message: str) -> None:
    raise TemplateError(message)


def chat_prompt(messages: Sequence[Mapping[str, str]], pipeline: TextGeneration) -> str:
    """Return the prompt that asks for the next answer.

    Raises:
        jinja2.TemplateError: when the template refuses the conversation.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(pipeline.chat_template).render(
        messages=list(messages),
        add_generation_prompt=True,
        bos_token=pipeline.bos_token,
        eos_token=pipeline.eos_token,
    )
