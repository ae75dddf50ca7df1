"""Token ids to text one at a time, without ever splitting a character."""

from __future__ import annotations

from ..host import Tokenizer

REPLACEMENT = "\ufffd"

MOST_HELD = 3
"""An unfinished UTF-8 character has at most 3 bytes, each at most one U+FFFD. Before the last three,
a U+FFFD stands for bytes that are truly no text."""

LONGEST_WINDOW = 64
"""Tokens decoded at once. Only a long run of invalid bytes comes near it."""

OVERLAP = 12
"""Tokens decoded again after such a run: more than three characters of 4 bytes can spread over."""


class Streamer:
    """Incremental detokenization, with the two offsets of TGI and vLLM.

    What a token adds depends on those before it (leading spaces, characters of several tokens), so
    each is decoded with the piece that came before: the window, of which ``_shown`` characters have
    been returned already. The window moves on only where the text is whole.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._read = 0
        self._shown = 0

    def push(self, token_id: int) -> str:
        """Return the text that is finished with this token; a character's first bytes are held back."""
        self._window.append(token_id)
        text = self._tokenizer.decode(self._window)
        held = min(len(text) - len(text.rstrip(REPLACEMENT)), MOST_HELD)
        whole = len(text) - held
        piece = text[self._shown : whole]
        self._shown = max(self._shown, whole)
        if piece and not held:
            self._move(self._read, len(text))
            self._read = len(self._window)
        elif len(self._window) > LONGEST_WINDOW:
            self._move(len(self._window) - OVERLAP, len(text))
            self._read = 0
        return piece

    def flush(self) -> str:
        """Return what is held back as it stands, and start anew."""
        piece = self._tokenizer.decode(self._window)[self._shown :]
        self._window, self._read, self._shown = [], 0, 0
        return piece

    def _move(self, start: int, length: int) -> None:
        if start == 0:
            return
        # Counted from the end: decoding from a later token may begin otherwise, never end otherwise.
        unshown = length - self._shown
        del self._window[:start]
        self._shown = len(self._tokenizer.decode(self._window)) - unshown
