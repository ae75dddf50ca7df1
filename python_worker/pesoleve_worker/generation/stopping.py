"""Why a generation ends, and the search for stop strings in text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

FinishReason = Literal["eos", "stop", "length", "context"]
"""An end-of-sequence token, a stop string, ``max_new_tokens``, or a full context."""


class StopStrings:
    """Passes text through up to the first stop string, wherever the pieces are cut.

    The first is the one whose last character comes first; of two that end together, the longer.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False
        """Whether a stop string has come. Nothing passes after."""

    def push(self, piece: str) -> str:
        """Return what of the text so far is newly sure to lie before any stop string."""
        if self.found:
            return ""
        text = self._held + piece
        matches = [
            (start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0
        ]
        if matches:
            self.found = True
            self._held = ""
            return text[: min(matches)[1]]
        sure = len(text) - self._possible_beginning(text)
        self._held = text[sure:]
        return text[:sure]

    def flush(self) -> str:
        """Return what was held back; the text has ended, so no stop string can complete."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        """Return the length of the longest end of ``text`` that some stop string begins with."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(1, min(len(stop) - 1, len(text)) + 1)
                if text.endswith(stop[:size])
            ),
            default=0,
        )
