"""The real native host, with its handles counted and its answers open to falsification."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pesoleve.native_host import NativeSession, NativeTensor
from pesoleve_worker.host import Tensor


class RecordingTensor(NativeTensor):
    """A native tensor that remembers whether it was disposed of."""

    disposed = False

    def dispose(self) -> None:
        self.disposed = True
        super().dispose()


class RecordingSession:
    """A session that computes for real and keeps every tensor it made.

    Args:
        error: added to every output, as a GPU that computes wrongly would; may be ``nan``.
    """

    def __init__(self, graph: Path, config: Mapping[str, str], *, error: float = 0.0) -> None:
        self._native = NativeSession(graph, config)
        self._error = error
        self.input_names: list[str] = self._native.input_names
        self.fed: list[RecordingTensor] = []
        self.answered: list[RecordingTensor] = []
        self.log: list[str] = []
        self.released = False

    def int64_tensor(self, rows: Sequence[Sequence[int]]) -> RecordingTensor:
        tensor = RecordingTensor(np.asarray(rows, np.int64))
        self.fed.append(tensor)
        return tensor

    async def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        feeds_here = {name: NativeTensor(np.asarray(t.native)) for name, t in feeds.items()}
        self.log.append("begin")
        await asyncio.sleep(0)  # as the page's runtime does: others may run meanwhile
        outputs = await self._native.run(feeds_here)
        self.log.append("end")
        falsified = {n: RecordingTensor(np.asarray(t.native) + self._error) for n, t in outputs.items()}
        self.answered += falsified.values()
        return dict(falsified)

    async def release(self) -> None:
        self.released = True
        await self._native.release()
