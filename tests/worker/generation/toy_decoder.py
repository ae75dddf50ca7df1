"""A language model in pure Python whose every answer depends on what its cache holds."""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from pesoleve_worker.errors import Cancelled, SessionError
from pesoleve_worker.generation.conversation import Conversation
from pesoleve_worker.generation.loop import Generated, generate
from pesoleve_worker.generation.ngrams import Ngrams
from pesoleve_worker.generation.settings import parse_settings
from pesoleve_worker.host import Candidates

VOCABULARY = 12
EOS = VOCABULARY - 1


def joined(lists: Iterable[Sequence[int]]) -> list[int]:
    return [*chain.from_iterable(lists)]


class ToyDecoder:
    """Logits hash the last ``order`` ids of the cache, or all of it, to quarters from -4 to 3.75.

    A low order soon repeats itself. Quarters make ties, which go to the lowest id. ``eos_logit``
    replaces that of EOS.
    """

    def __init__(self, order: int | None = None, eos_logit: float | None = -9.0) -> None:
        self.order = order
        self.eos_logit = eos_logit
        self.ids: list[int] = []
        self.fed: list[list[int]] = []
        self.failing = False
        self.reserved = 0
        self.widest = 9

    @property
    def length(self) -> int:
        return len(self.ids)

    def logits_after(self, ids: Sequence[int]) -> list[float]:
        past = bytes(ids if self.order is None else ids[-self.order :])
        logits = [zlib.crc32(bytes([token]) + past) // 7 % 32 / 4 - 4 for token in range(VOCABULARY)]
        if self.eos_logit is not None:
            logits[EOS] = self.eos_logit
        return logits

    def after(self, ids: Sequence[int], top_k: int) -> Candidates:
        logits = self.logits_after(ids)
        first = sorted(range(VOCABULARY), key=lambda token: (-logits[token], token))[:top_k]
        normalizer = math.log(math.fsum(map(math.exp, logits)))
        return Candidates(first, [logits[token] for token in first], normalizer)

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        assert 1 <= keep <= len(ids)
        assert top_k >= 1
        await asyncio.sleep(0)
        self.fed.append(list(ids))
        self.ids.extend(ids)
        if self.failing:
            raise SessionError("run_failed", "out of memory")
        ends = range(len(self.ids) - keep + 1, len(self.ids) + 1)
        return [self.after(self.ids[:end], top_k) for end in ends]

    def truncate(self, length: int) -> None:
        assert 0 <= length <= len(self.ids)
        del self.ids[length:]

    async def reserve(self, tokens: int) -> None:
        self.reserved = tokens

    async def release(self) -> None:
        raise AssertionError("the loop does not own the decoder")


class Letters:
    """Ids 0, 1, … are a, b, …; EOS is special, so it has no text."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        return [ord(letter) - ord("a") for letter in text] + [EOS] * special

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(ord("a") + token) for token in ids if token != EOS)


class Stage:
    """A conversation with the toy, and everything that its callbacks were told."""

    def __init__(self, decoder: ToyDecoder, context: int = 4096) -> None:
        self.decoder = decoder
        self.conversation = Conversation(decoder)
        self.context = context
        self.pieces: list[tuple[str, list[int], list[float]]] = []
        self.prefills: list[tuple[int, int]] = []
        self.cancel_at: int | None = None
        self.checks = 0
        self.clock: Callable[[], float] = lambda: 0.0
        self.habits = Ngrams()

    def play(self, prompt: Sequence[int], **settings: object) -> Generated:
        return asyncio.run(self.generate(prompt, **settings))

    async def generate(self, prompt: Sequence[int], **settings: object) -> Generated:
        self.pieces.clear()
        self.prefills.clear()
        self.decoder.fed.clear()
        self.checks = 0
        return await generate(
            prompt,
            conversation=self.conversation,
            tokenizer=Letters(),
            settings=parse_settings(settings),
            eos_token_ids=[EOS],
            context=self.context,
            on_token=lambda *piece: self.pieces.append(piece),
            habits=self.habits,
            check_cancelled=self._check,
            on_prefill=lambda *progress: self.prefills.append(progress),
            clock=self.clock,
        )

    def _check(self) -> None:
        self.checks += 1
        if self.checks == self.cancel_at:
            raise Cancelled("aborted", "enough")
