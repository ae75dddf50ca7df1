"""The seam between the pipelines and whatever computes: ONNX Runtime Web, or onnxruntime.

A pipeline sees token ids and handles. Tensors stay on the host's side of the seam: in the page their
numbers never enter Python, which would copy them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Tensor(Protocol):
    """A handle on a dense array that lives with the session's runtime."""

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape."""
        ...

    @property
    def native(self) -> object:
        """What the host gives its caller: a numpy array in CPython, an ort.Tensor in the page."""
        ...

    def largest_difference(self, expected: Sequence[float]) -> float:
        """Return max |self - expected| over the flattened tensor; ``inf`` when lengths differ
        or when any value is not a number."""
        ...

    def dispose(self) -> None:
        """Free the tensor. A handle is not used after."""
        ...


class Session(Protocol):
    """A model opened on one device."""

    @property
    def input_names(self) -> Sequence[str]: ...

    def int64_tensor(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Make an int64 tensor of shape (len(rows), len(rows[0])) from rows of equal length."""
        ...

    async def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once; return every output by name.

        Raises:
            SessionError: ``run_failed``, with the runtime's own words.
        """
        ...

    async def release(self) -> None:
        """Free the model's memory."""
        ...


@dataclass(frozen=True)
class Candidates:
    """The likeliest next tokens at one position, likeliest first.

    ``log_normalizer`` is log Σ exp(logit) over the whole vocabulary, so that a candidate's
    log-probability is ``logit - log_normalizer``.
    """

    ids: list[int]
    logits: list[float]
    log_normalizer: float


class Decoder(Protocol):
    """A causal language model opened on one device, with its KV cache, which stays on that device."""

    @property
    def length(self) -> int:
        """How many tokens the KV cache holds."""
        ...

    @property
    def widest(self) -> int:
        """The most tokens that may be fed at once to guess ahead: 1 where that takes as long as one
        after the other, or answers otherwise."""
        ...

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        """Append ``ids`` to the cache; return the ``top_k`` candidates after each of the last ``keep``.

        Args:
            ids: at least one token id.
            keep: 1 to len(ids).

        Raises:
            SessionError: ``run_failed``, with the runtime's own words; the cache is then of no use.
        """
        ...

    def truncate(self, length: int) -> None:
        """Forget what the cache holds after its first ``length`` tokens."""
        ...

    async def reserve(self, tokens: int) -> None:
        """Say how many tokens the cache will come to hold, so that it grows once.

        Raises:
            SessionError: ``run_failed``, where there is no room; the cache is then of no use.
        """
        ...

    async def release(self) -> None:
        """Free the model's memory."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back, exactly as Hugging Face ``tokenizers`` has it."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Return the ids of ``text``, without truncation.

        ``special`` adds what the model's post-processor adds. Special tokens that are written out in
        ``text`` are always read as such.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens; bytes that are no UTF-8 become U+FFFD."""
        ...


OpenSession = Callable[[str], Awaitable[Session]]
"""Open the model on a device (``wasm``, ``webgpu``; in CPython ``cpu``), or raise SessionError."""

OpenDecoder = Callable[[str], Awaitable[Decoder]]
"""Likewise, for a model whose task is text_generation."""
