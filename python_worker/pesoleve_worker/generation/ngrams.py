"""A model's habits: which token it mostly says after two others, or after one
(export/pesoleve/habits.py counts them)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import CatalogError

ANY = 0xFFFF_FFFF
"""In place of the first of two tokens: whatever it is."""


class Ngrams:
    """At most one next token for each pair, and for each single token."""

    def __init__(self, rows: Iterable[tuple[tuple[int, int], int]] = ()) -> None:
        self._next = dict(rows)

    @classmethod
    def parse(cls, content: bytes, vocabulary: int) -> Ngrams:
        """Read three columns of equal length, each of little-endian 32-bit numbers: the first token of
        a pair, or ``ANY``; the second; and the one that follows.

        Raises:
            CatalogError: ``catalog_invalid`` when they are not of equal length, or a token that follows
                is none of ``vocabulary``.
        """
        if len(content) % 12:
            message = f"the n-grams are {len(content)} bytes, no three columns of 32-bit numbers"
            raise CatalogError("catalog_invalid", message)
        numbers = memoryview(content).cast("I")
        size = len(numbers) // 3
        following = numbers[2 * size :]
        if (most := max(following, default=0)) >= vocabulary:
            message = f"the n-grams name token {most}, and the vocabulary has {vocabulary}"
            raise CatalogError("catalog_invalid", message)
        # No step of this is Python's own: in the page it runs while the runtime starts.
        pairs = zip(numbers[:size], numbers[size : 2 * size], strict=True)
        return cls(zip(pairs, following, strict=True))

    def follow(self, last: Sequence[int], count: int) -> list[int]:
        """Return up to ``count`` ids that mostly follow ``last``, of which the last two decide."""
        ids, found = list(last[-2:]), list[int]()
        while ids and len(found) < count:
            after = self._next.get((ids[0], ids[-1]) if len(ids) > 1 else (ANY, ids[-1]))
            if after is None:
                after = self._next.get((ANY, ids[-1]))
            if after is None:
                break
            found.append(after)
            ids = [ids[-1], after]
        return found


NO_HABITS = Ngrams()
