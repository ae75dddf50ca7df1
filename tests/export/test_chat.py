"""The prompts of the export are those of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pesoleve.catalog import read
from pesoleve.chat import chat_prompt
from pesoleve_worker.catalog import TextGeneration
from tests.tiny_llama import CHAT_TEMPLATE

MODELS = Path(__file__).parents[2] / "site" / "models"
GEMMA = """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first = messages[0]['content'] + '\n\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- else -%}
        {%- break -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\n' }}
{%- endif -%}
"""
"""As Gemma 3's is written: a refusal, a filter, loop controls and a beginning of sequence."""


def smollm2() -> TextGeneration:
    (pipeline,) = (m.pipeline for m in read(MODELS).models if m.id == "smollm2-135m-instruct")
    assert isinstance(pipeline, TextGeneration)
    return pipeline


PIPELINES = {
    "smollm2": smollm2(),
    "tiny": TextGeneration(64, CHAT_TEMPLATE, "<s>", "</s>", [2]),
    "gemma": TextGeneration(64, GEMMA, "<bos>", "<eos>", [1]),
}


def theirs(messages: Sequence[dict[str, str]], pipeline: TextGeneration) -> str:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()),
        bos_token=pipeline.bos_token,
        eos_token=pipeline.eos_token,
    )
    return str(
        tokenizer.apply_chat_template(
            list(messages),
            chat_template=pipeline.chat_template,
            tokenize=False,
            add_generation_prompt=True,
        )
    )


def conversation(contents: list[str], system: str | None) -> list[dict[str, str]]:
    first = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return first + [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["  spaced  ", "{{ 1 + 1 }}", "<|im_end|>", "a\n", "<&>\"'"]
)


@pytest.mark.parametrize("name", PIPELINES)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.none() | TEXTS)
def test_a_prompt_is_what_transformers_makes_of_it(
    name: str, contents: list[str], system: str | None
) -> None:
    messages = conversation(contents, system)
    assert chat_prompt(messages, PIPELINES[name]) == theirs(messages, PIPELINES[name])


def test_smollm2_introduces_itself_unless_told_otherwise() -> None:
    pipeline = PIPELINES["smollm2"]
    prompt = chat_prompt(conversation(["Hi"], None), pipeline)
    assert prompt == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "SmolLM" not in chat_prompt(conversation(["Hi"], "Be brief."), pipeline)


def test_a_template_may_refuse() -> None:
    twice = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    with pytest.raises(TemplateError, match="must alternate"):
        chat_prompt(twice, PIPELINES["gemma"])
