"""What may come next, guessed at the price of a look-up: the model checks several tokens in one step,
in little more time than one takes (speculative decoding, Leviathan et al. 2023, arXiv:2211.17192)."""

from __future__ import annotations

from collections.abc import Sequence

from .ngrams import Ngrams
from .prompt_lookup import PromptLookup

MOST_GUESSES = 8
"""Of a text that was said before: one at first, and twice as many after all of them were right. A
second token in a step takes a tenth longer in fp32, a third one three times that."""


class Guesses:
    """Guesses from what was said, else from what the model is in the habit of saying."""

    def __init__(self, ids: Sequence[int], habits: Ngrams) -> None:
        self._lookup = PromptLookup(ids)
        self._habits = habits
        self._most = 1
        self._guessed = 0

    def append(self, token_id: int) -> None:
        """Add the next id."""
        self._lookup.append(token_id)

    def propose(self, room: int) -> list[int]:
        """Return at most ``room`` ids that may come next, or none."""
        said = self._lookup.propose(min(room, self._most))
        self._guessed = len(said)
        return said or self._habits.follow(self._lookup.last, min(room, 1))

    def judge(self, accepted: int) -> None:
        """Learn how many of those proposed were right."""
        if self._guessed:
            right = accepted == self._guessed
            self._most = min(2 * self._most, MOST_GUESSES) if right else 1
