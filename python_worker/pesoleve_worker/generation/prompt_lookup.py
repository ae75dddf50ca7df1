"""Prompt-lookup decoding: guess that text which began like earlier text goes on like it.

Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding. A guess costs no model, and the
model checks all of it in one run.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_NGRAM = 3
SHORTEST_NGRAM = 2
"""What followed a single token is right too seldom: one time in six, in SmolLM2's answers."""


class PromptLookup:
    """The ids so far, and where each of their n-grams last went on. Appending and looking take O(n)."""

    def __init__(self, ids: Iterable[int] = (), longest_ngram: int = LONGEST_NGRAM) -> None:
        self._longest = longest_ngram
        self._ids: list[int] = []
        self._followed_at: dict[tuple[int, ...], int] = {}
        for token in ids:
            self.append(token)

    def append(self, token_id: int) -> None:
        """Add the next id."""
        # Only now are the n-grams at the end indexed: until it is followed, one would find itself.
        for ngram in self._last_ngrams():
            self._followed_at[ngram] = len(self._ids)
        self._ids.append(token_id)

    @property
    def last(self) -> list[int]:
        """The last two ids, or as many as there are."""
        return self._ids[-2:]

    def propose(self, count: int) -> list[int]:
        """Return up to ``count`` ids that followed the last n-gram when it came most recently before.

        The longest n-gram that came before decides; when none did, nothing is proposed.
        """
        for ngram in self._last_ngrams():
            start = self._followed_at.get(ngram)
            if start is not None:
                return self._ids[start : start + count]
        return []

    def _last_ngrams(self) -> list[tuple[int, ...]]:
        """Return the n-grams at the end, longest first."""
        sizes = range(min(self._longest, len(self._ids)), SHORTEST_NGRAM - 1, -1)
        return [tuple(self._ids[-size:]) for size in sizes]
