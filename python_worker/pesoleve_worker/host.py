"""The seam between the pipelines and whatever computes: ONNX Runtime Web, or onnxruntime.

A pipeline sees token ids and handles. Tensors stay on the host's side of the seam: in the page their
numbers never enter Python, which would copy them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


class Tokenizer(Protocol):
    """Text to token ids, exactly as Hugging Face ``tokenizers`` has it."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` with the model's special tokens, without truncation."""
        ...


OpenSession = Callable[[str], Awaitable[Session]]
"""Open the model on a device (``wasm``, ``webgpu``; in CPython ``cpu``), or raise SessionError."""
