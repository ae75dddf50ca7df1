"""Chatting with the toy decoder: roles are letters, and what is said may be read in two ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pesoleve_worker.catalog import TextGeneration
from pesoleve_worker.errors import SessionError
from pesoleve_worker.host import Candidates
from pesoleve_worker.pipelines.text_generation import Message
from tests.worker.generation.toy_decoder import EOS, ToyDecoder

LETTERS = 5
"""Ids 0 to 4 are a to e, and so are 5 to 9."""

USER = 10


def pipeline(context: int = 512) -> TextGeneration:
    return TextGeneration(context, "", "", ".", [EOS])


def render(messages: list[Message]) -> str:
    """``>`` before what the user says, ``.`` after everything, and nothing before an answer."""
    marks = {"system": "", "user": ">", "assistant": ""}
    return "".join(f"{marks[message['role']]}{message['content']}." for message in messages)


class TwoWays:
    """Reads every letter as the lower of its two ids; ``>`` has one of its own, and ``.`` is EOS."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        begun = [USER] if special else []  # a chat template writes out what is special
        return begun + [{">": USER, ".": EOS}.get(letter, ord(letter) - ord("a")) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(">" if i == USER else chr(ord("a") + i % LETTERS) for i in ids if i != EOS)


class Talker(ToyDecoder):
    """Never says ``>``. ``fails_at`` counts feeds, from 0, and fails ever after."""

    def __init__(
        self,
        order: int | None = None,
        eos_logit: float | None = -9.0,
        fails_at: int | None = None,
        wrong: bool = False,
    ) -> None:
        super().__init__(order, eos_logit)
        self.fails_at = fails_at
        self.wrong = wrong
        self.feeds = 0
        self.released = 0

    def logits_after(self, ids: Sequence[int]) -> list[float]:
        logits = super().logits_after(ids)
        logits[USER] = -20.0
        return logits[::-1] if self.wrong else logits

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        if self.fails_at is not None and self.feeds >= self.fails_at:
            self.ids.extend(ids)  # a cache of a state that nobody knows
            raise SessionError("run_failed", "the device was lost")
        self.feeds += 1
        return await super().feed(ids, top_k, keep)

    async def release(self) -> None:
        self.released += 1


class Pieces:
    """What ``on_piece`` was told."""

    def __init__(self) -> None:
        self.text = ""
        self.ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.count = 0
        self.then: Callable[[], Any] = lambda: None

    def __call__(self, text: str, ids: list[int], log_probabilities: list[float]) -> None:
        self.text += text
        self.ids += ids
        self.log_probabilities += log_probabilities
        self.count += 1
        self.then()


def said(*contents: str) -> list[Message]:
    """The user and the assistant in turn, the user first."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]
