"""What has been generated so far, told piece by piece, and whether it has ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..host import Tokenizer
from .sampler import Chosen
from .settings import GenerationSettings
from .stopping import FinishReason, StopStrings
from .streamer import Streamer

OnToken = Callable[[str, list[int], list[float]], None]
"""Called with newly finished text, the token ids since the last call, and their natural
log-probabilities, empty unless asked for. What the calls were given adds up to the whole."""


class Transcript:
    """The generated tokens and their text. ``token_ids`` include the closing end-of-sequence token."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: GenerationSettings,
        eos_token_ids: Collection[int],
        on_token: OnToken,
    ) -> None:
        self._settings = settings
        self._eos_token_ids = frozenset(eos_token_ids)
        self._on_token = on_token
        self._streamer = Streamer(tokenizer)
        self._stops = StopStrings(settings.stop)
        self._told = 0
        self._pieces: list[str] = []
        self.token_ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.finish_reason: FinishReason | None = None

    @property
    def text(self) -> str:
        """Everything told: without special tokens, the stop string, and what came after it."""
        return "".join(self._pieces)

    @property
    def room(self) -> int:
        """How many more tokens ``max_new_tokens`` allows."""
        return self._settings.max_new_tokens - len(self.token_ids)

    def add(self, chosen: Chosen) -> None:
        """Take one token; tell what it finishes, or everything when it ends the generation."""
        self.token_ids.append(chosen.token_id)
        if self._settings.log_probabilities:
            self.log_probabilities.append(chosen.log_probability)
        if chosen.token_id in self._eos_token_ids:
            self.finish("eos")
            return
        text = self._stops.push(self._streamer.push(chosen.token_id))
        if self._stops.found:
            self.finish("stop", text)
        elif self.room == 0:
            self.finish("length", text)
        elif text:
            self._tell(text)

    def replay(self, told: Sequence[Chosen]) -> None:
        """Take tokens that were told of before, by a transcript that was cut off, and tell nothing."""
        for chosen in told:
            self.token_ids.append(chosen.token_id)
            if self._settings.log_probabilities:
                self.log_probabilities.append(chosen.log_probability)
            self._pieces.append(self._stops.push(self._streamer.push(chosen.token_id)))
        self._told = len(self.token_ids)

    def finish(self, reason: FinishReason, text: str = "") -> None:
        """End with ``reason``; tell ``text`` and what was held back before any stop string."""
        text += self._stops.push(self._streamer.flush())
        text += self._stops.flush()
        self.finish_reason = "stop" if self._stops.found else reason
        if text or self._told < len(self.token_ids):
            self._tell(text)

    def _tell(self, text: str) -> None:
        start, self._told = self._told, len(self.token_ids)
        self._pieces.append(text)
        self._on_token(text, self.token_ids[start:], self.log_probabilities[start:])
