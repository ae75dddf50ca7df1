"""What a page brings to the worker: a model, a tokenizer, and devices of which some may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pesoleve.graph.quantize import SESSION_CONFIG
from pesoleve.native_host import NativeTokenizer
from pesoleve_worker.app import App, Loaded
from pesoleve_worker.catalog import Model
from pesoleve_worker.errors import SessionError
from pesoleve_worker.host import Session
from tests.recording_host import RecordingSession


class StuckSession(RecordingSession):
    async def release(self) -> None:
        raise SessionError("run_failed", "the device is lost")


class Client:
    """An app, and what to load into it.

    ``errors`` is what each device adds to its answers; no session opens on those ``refusing``, and none
    closes on those ``stuck``.
    """

    def __init__(self, graph: Path, tokenizer: Path, model: Model) -> None:
        self._graph = graph
        self.tokenizer = NativeTokenizer(tokenizer)
        self.model = model
        self.app = App(asyncio.Lock())
        self.errors: dict[str, float] = {}
        self.refusing: set[str] = set()
        self.stuck: set[str] = set()
        self.opened: dict[str, RecordingSession] = {}
        self.stages: list[str] = []

    async def open_session(self, device: str) -> Session:
        if device in self.refusing:
            raise SessionError("session_failed", f"no {device} here")
        error = self.errors.get(device, 0.0)
        kind = StuckSession if device in self.stuck else RecordingSession
        self.opened[device] = kind(self._graph, SESSION_CONFIG, error=error)
        return self.opened[device]

    async def load(self, *devices: str, dtype: str = "fp32") -> Loaded:
        return await self.app.load(
            self.model, dtype, devices, self.tokenizer, self.open_session, self.stages.append
        )


def scene(play: Callable[[Client], Coroutine[Any, Any, None]]) -> Callable[[Client], None]:
    """Turn an async function into a test of its own event loop."""

    def test(client: Client) -> None:
        asyncio.run(play(client))

    return test
