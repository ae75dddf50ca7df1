"""A conversation with a causal language model: messages in, pieces of text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..catalog import TextGeneration
from ..errors import InputError
from ..generation.conversation import Conversation
from ..generation.loop import generate
from ..generation.ngrams import NO_HABITS, Ngrams
from ..generation.sampler import Chosen
from ..generation.settings import GenerationSettings, parse_settings
from ..generation.trim import trim_oldest
from ..host import Decoder, Tokenizer

ROLES = ("system", "user", "assistant")
Message = dict[str, str]
Render = Callable[[list[Message]], str]
"""The model's chat template: messages to the prompt that asks for the next answer."""

OnPiece = Callable[[str, list[int], list[float]], None]
OnPrefill = Callable[[int, int], None]


@dataclass
class _Answer:
    """The answer under way: what it began from, and what was told of it so far."""

    prompt_ids: list[int]
    settings: GenerationSettings
    told: list[Chosen]


class Chat:
    """One decoder in conversation; the KV cache outlives a turn, so that the next feeds what is new."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        render: Render,
        pipeline: TextGeneration,
        habits: Ngrams = NO_HABITS,
    ) -> None:
        self.decoder = decoder
        self._habits = habits
        self._conversation = Conversation(decoder)
        self._tokenizer = tokenizer
        self._render = render
        self._pipeline = pipeline
        self._answer: _Answer | None = None
        # What was said, as text and as ids. Reading an answer's text again may give other ids than it
        # was made of, and the cache would be of no use.
        self._text = ""
        self._ids: list[int] = []

    async def generate(
        self,
        messages: object,
        options: Mapping[str, object],
        on_piece: OnPiece,
        check_cancelled: Callable[[], None] = lambda: None,
        on_prefill: OnPrefill = lambda _done, _total: None,
    ) -> dict[str, Any]:
        """Answer the last message.

        Args:
            messages: a list of {role, content}, the last from the user.
            options: ``GenerationSettings``' fields, and ``trim``: ``"oldest"`` leaves out the oldest
                turns of a conversation that is too long, where it would be refused.
            on_piece: called with text, token ids and log-probabilities as ``Transcript`` tells them.

        Returns:
            ``Generated``'s fields, and ``context``: {used, limit} in tokens.

        Raises:
            InputError: ``input_invalid``, ``prompt_too_long``; and what ``generate`` raises.
        """
        conversation = validate_messages(messages)
        plain = dict(options)
        trim = plain.pop("trim", None)
        if trim not in (None, "oldest"):
            raise InputError("input_invalid", f"trim is 'oldest' or absent, not {trim!r}")
        settings = parse_settings(plain)
        if trim:
            room = self._pipeline.context - min(settings.max_new_tokens, self._pipeline.context // 2)
            conversation = trim_oldest(conversation, lambda left: len(self._encode(left)[1]), room)
        text, ids = self._encode(conversation)
        self._answer = _Answer(ids, settings, [])
        self._text, self._ids = text, list(ids)
        return await self._go_on(on_piece, check_cancelled, on_prefill)

    async def resume(
        self,
        decoder: Decoder,
        on_piece: OnPiece,
        check_cancelled: Callable[[], None] = lambda: None,
        on_prefill: OnPrefill = lambda _done, _total: None,
    ) -> dict[str, Any]:
        """Go on with the answer that was interrupted, on another decoder, from what was told of it."""
        self.decoder = decoder
        self._conversation = Conversation(decoder)
        return await self._go_on(on_piece, check_cancelled, on_prefill)

    async def _go_on(
        self, on_piece: OnPiece, check_cancelled: Callable[[], None], on_prefill: OnPrefill
    ) -> dict[str, Any]:
        answer = self._answer
        assert answer is not None

        def tell(text: str, ids: list[int], log_probabilities: list[float]) -> None:
            answer.told += map(Chosen, ids, log_probabilities or [0.0] * len(ids))
            self._text += text
            self._ids += [i for i in ids if i not in self._pipeline.eos_token_ids]
            on_piece(text, ids, log_probabilities)

        generated = await generate(
            answer.prompt_ids,
            conversation=self._conversation,
            tokenizer=self._tokenizer,
            settings=answer.settings,
            eos_token_ids=self._pipeline.eos_token_ids,
            context=self._pipeline.context,
            on_token=tell,
            habits=self._habits,
            told=list(answer.told),
            check_cancelled=check_cancelled,
            on_prefill=on_prefill,
        )
        if generated.finish_reason == "stop":
            self._text = ""  # the ids say more than the text
        context = {"used": self._conversation.length, "limit": self._pipeline.context}
        return {**asdict(generated), "context": context}

    def _encode(self, messages: list[Message]) -> tuple[str, list[int]]:
        text = self._render(messages)
        if self._text and text.startswith(self._text):
            rest = text[len(self._text) :]
            return text, [*self._ids, *self._tokenizer.encode(rest, special=False)]
        return text, self._tokenizer.encode(text, special=False)


def validate_messages(messages: object) -> list[Message]:
    """Return ``messages`` as plain dicts, or raise ``input_invalid`` saying what is wrong."""
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
        raise InputError("input_invalid", "text_generation takes a list of messages, at least one")
    plain = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
            raise InputError("input_invalid", f"message {index} should be {{role, content}}")
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise InputError("input_invalid", f"message {index}: role is one of {ROLES}, not {role!r}")
        if not isinstance(content, str):
            kind = type(content).__name__
            raise InputError("input_invalid", f"message {index}: content is {kind}, not a string")
        plain.append({"role": str(role), "content": content})
    if plain[-1]["role"] != "user":
        raise InputError("input_invalid", "the last message should be the user's")
    if not plain[-1]["content"].strip():
        raise InputError("input_invalid", "the last message is empty")
    return plain
