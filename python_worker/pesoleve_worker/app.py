"""load · run · cancel · unload: what the worker can be asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .canary import canary_difference
from .catalog import Model
from .errors import Cancelled, CatalogError, SessionError, WorkerError
from .host import OpenSession, Session, Tokenizer
from .pipelines.feature_extraction import VectorBatch, feature_extraction

Progress = Callable[[str], None]
"""Told each stage of a load as it begins: ``session``, then ``warm_up``, once a device tried."""


@dataclass(frozen=True)
class Rejected:
    """A device that was tried and left, and why."""

    device: str
    code: str
    message: str


@dataclass(frozen=True)
class Loaded:
    """What ``load`` settled on."""

    device: str
    canary_difference: float
    rejected: list[Rejected]


@dataclass(frozen=True)
class _Running:
    model: Model
    session: Session
    tokenizer: Tokenizer


class App:
    """Holds at most one model; runs one request at a time, in the order they came."""

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._turn = asyncio.Lock()
        self._cancelled: set[int] = set()

    async def load(
        self,
        model: Model,
        dtype: str,
        devices: Sequence[str],
        tokenizer: Tokenizer,
        open_session: OpenSession,
        progress: Progress = lambda _stage: None,
    ) -> Loaded:
        """Open ``model`` on the first of ``devices`` that opens it and answers its canary rightly.

        Raises:
            SessionError: of the last device, when none is left; the message names every one tried.
        """
        async with self._turn:
            await self._release()
            rejected: list[Rejected] = []
            for device in devices:
                try:
                    difference = await self._try(
                        model, dtype, device, tokenizer, open_session, progress
                    )
                except SessionError as error:
                    rejected.append(Rejected(device, error.code, error.message))
                    continue
                return Loaded(device, difference, rejected)
            if not rejected:
                raise CatalogError("option_invalid", "load was given no device to try")
            tried = "; ".join(f"{r.device}: {r.message}" for r in rejected)
            raise SessionError(rejected[-1].code, tried)

    async def run(self, request: int, inputs: object) -> list[VectorBatch]:
        """Run the loaded model's pipeline. ``request`` is the name ``cancel`` knows it by."""
        try:
            async with self._turn:
                running = self._running
                if running is None:
                    raise WorkerError("not_loaded", "no model is loaded in this worker")
                return await feature_extraction(
                    inputs,
                    session=running.session,
                    tokenizer=running.tokenizer,
                    pipeline=running.model.pipeline,
                    check_cancelled=lambda: self._check(request),
                )
        finally:
            self._cancelled.discard(request)

    def cancel(self, request: int) -> None:
        """Stop ``request`` before its next batch, or before it starts, even if it is still to come."""
        self._cancelled.add(request)

    async def unload(self) -> None:
        """Free the model. Nothing happens when none is loaded."""
        async with self._turn:
            await self._release()

    def _check(self, request: int) -> None:
        if request in self._cancelled:
            raise Cancelled("aborted", "the run was cancelled")

    async def _try(
        self,
        model: Model,
        dtype: str,
        device: str,
        tokenizer: Tokenizer,
        open_session: OpenSession,
        progress: Progress,
    ) -> float:
        progress("session")
        session = await open_session(device)
        try:
            progress("warm_up")
            difference = await canary_difference(model, dtype, session, tokenizer)
            if not difference <= model.canary.tolerance:
                raise SessionError(
                    "canary_mismatch",
                    f"{device} answers wrongly: off by {difference:.3g} where at most "
                    f"{model.canary.tolerance:.3g} is right",
                )
        except BaseException:
            await session.release()
            raise
        self._running = _Running(model, session, tokenizer)
        return difference

    async def _release(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.session.release()
