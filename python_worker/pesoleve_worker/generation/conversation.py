"""What the KV cache holds, so that a turn feeds only what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..host import Candidates, Decoder

PREFILL_CHUNK = 128
"""Tokens fed at once: bounds the activations, and how long a cancel waits."""


@dataclass(frozen=True)
class Prefilled:
    """``candidates`` follow the last id; the first ``cached_tokens`` ids were already in the cache."""

    candidates: Candidates
    cached_tokens: int


class Conversation:
    """A decoder and the ids that its KV cache holds, which stay known through cancels and failures."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._ids: list[int] = []

    @property
    def ids(self) -> tuple[int, ...]:
        """What the cache is known to hold."""
        return tuple(self._ids)

    @property
    def length(self) -> int:
        """How many ids the cache is known to hold."""
        return len(self._ids)

    @property
    def widest(self) -> int:
        """The most tokens of an answer to feed at once (``Decoder.widest``)."""
        return self._decoder.widest

    async def prefill(
        self,
        ids: Sequence[int],
        top_k: int,
        *,
        check_cancelled: Callable[[], None] = lambda: None,
        on_prefill: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Prefilled:
        """Make the cache hold exactly ``ids``, keeping what it already shares with them.

        Args:
            ids: the whole conversation, at least one id. The last is always fed, for its candidates.
            check_cancelled: called before every chunk; raises to stop.
            on_prefill: called after every chunk with (tokens fed, tokens to feed), cached ones apart.

        Raises:
            SessionError, and whatever ``check_cancelled`` raises.
        """
        if self._decoder.length != len(self._ids):  # somebody else fed it, as a canary does
            self._ids = []
        cached = min(_shared(self._ids, ids), len(ids) - 1)
        self.truncate(cached)
        known, self._ids = self._ids, []
        await self._decoder.reserve(len(ids))
        self._ids = known
        for start in range(cached, len(ids), PREFILL_CHUNK):
            check_cancelled()
            chunk = ids[start : start + PREFILL_CHUNK]
            end = start + len(chunk)
            (candidates,) = await self.feed(chunk, top_k if end == len(ids) else 1)
            on_prefill(end - cached, len(ids) - cached)
        return Prefilled(candidates, cached)

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        """Append ``ids``; return ``top_k`` candidates after each of the last ``keep``.

        When the decoder raises, everything is forgotten: its cache could be in any state.
        """
        known, self._ids = self._ids, []
        answers = await self._decoder.feed(ids, top_k, keep)
        self._ids = [*known, *ids]
        return answers

    def truncate(self, length: int) -> None:
        """Forget what the cache holds after its first ``length`` ids."""
        # To 0 always goes through: a cache of unknown state may call itself empty.
        if 0 < length == len(self._ids):
            return
        known, self._ids = self._ids[:length], []
        self._decoder.truncate(length)
        self._ids = known


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Return the length of the longest common prefix."""
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length
