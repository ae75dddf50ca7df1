"""load · run · generate · cancel · unload: what the worker can be asked to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from .canary import canary_difference, decoder_canary_difference
from .catalog import Model, Pipeline, TextClassification, TextGeneration
from .errors import Cancelled, CatalogError, SessionError, WorkerError
from .generation.ngrams import NO_HABITS, Ngrams
from .host import Decoder, OpenDecoder, OpenSession, Session, Tokenizer
from .pipelines.encoder import VectorBatch, run_encoder
from .pipelines.text_generation import Chat, OnPiece, OnPrefill, Render

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
class _Vectors:
    """An encoder that runs."""

    pipeline: Pipeline | TextClassification
    session: Session
    tokenizer: Tokenizer

    async def release(self) -> None:
        await self.session.release()


@dataclass
class _Talking:
    """A decoder that runs, and how to go on elsewhere if its device is lost."""

    load: _Load
    chat: Chat
    device: str
    later_devices: list[str]

    async def release(self) -> None:
        await self.chat.decoder.release()


@dataclass(frozen=True)
class _Load:
    """What a load was asked for."""

    model: Model
    dtype: str
    tokenizer: Tokenizer
    open_session: OpenSession | OpenDecoder
    render: Render | None
    habits: Ngrams
    progress: Progress


class App:
    """Holds at most one model; runs one request at a time, in the order they came.

    Args:
        turn: a fair lock, which a request holds while it is answered.
    """

    def __init__(self, turn: AbstractAsyncContextManager[Any]) -> None:
        self._running: _Vectors | _Talking | None = None
        self._turn = turn
        self._cancelled: set[int] = set()

    async def load(
        self,
        model: Model,
        dtype: str,
        devices: Sequence[str],
        tokenizer: Tokenizer,
        open_session: OpenSession | OpenDecoder,
        progress: Progress = lambda _stage: None,
        render: Render | None = None,
        habits: Ngrams = NO_HABITS,
    ) -> Loaded:
        """Open ``model`` on the first of ``devices`` that opens it and answers its canary rightly.

        Args:
            open_session: gives a Session, or a Decoder when the model's task is text_generation.
            render: the model's chat template, when it has one.
            habits: what it mostly says, to guess from.

        Raises:
            SessionError: of the last device, when none is left; the message names every one tried.
        """
        async with self._turn:
            await self._release()
            asked = _Load(model, dtype, tokenizer, open_session, render, habits, progress)
            self._running, loaded = await _open_first(asked, devices)
            return loaded

    async def run(self, request: int, inputs: object) -> list[VectorBatch]:
        """Run the loaded model's pipeline. ``request`` is the name ``cancel`` knows it by."""
        try:
            async with self._turn:
                running = self._running
                if not isinstance(running, _Vectors):
                    raise WorkerError("not_loaded", "no model that makes vectors is loaded here")
                return await run_encoder(
                    inputs,
                    session=running.session,
                    tokenizer=running.tokenizer,
                    pipeline=running.pipeline,
                    check_cancelled=lambda: self._check(request),
                )
        finally:
            self._cancelled.discard(request)

    async def generate(
        self,
        request: int,
        messages: object,
        options: Mapping[str, object],
        on_piece: OnPiece,
        on_prefill: OnPrefill = lambda _done, _total: None,
    ) -> dict[str, Any]:
        """Answer a conversation; see ``Chat.generate``. The answer's ``device`` is where it ended.

        A device that fails midway is left for the next of those the load was given, and the answer
        goes on from what was told of it.
        """
        try:
            async with self._turn:
                running = self._running
                if not isinstance(running, _Talking):
                    raise WorkerError("not_loaded", "no model that talks is loaded in this worker")

                def check() -> None:
                    self._check(request)

                step = running.chat.generate(messages, options, on_piece, check, on_prefill)
                while True:
                    try:
                        result = await step
                        break
                    except SessionError as error:
                        decoder = await self._move(running, error)
                        step = running.chat.resume(decoder, on_piece, check, on_prefill)
                return {**result, "device": running.device}
        finally:
            self._cancelled.discard(request)

    def cancel(self, request: int) -> None:
        """Stop ``request`` before its next step, or before it starts, even if it is still to come."""
        self._cancelled.add(request)

    async def unload(self) -> None:
        """Free the model. Nothing happens when none is loaded."""
        async with self._turn:
            await self._release()

    def _check(self, request: int) -> None:
        if request in self._cancelled:
            raise Cancelled("aborted", "the run was cancelled")

    async def _move(self, running: _Talking, error: SessionError) -> Decoder:
        """Open the model on the next device, or raise ``error`` when there is none."""
        if not running.later_devices:
            raise error
        self._running = None  # whatever happens now, not this
        with contextlib.suppress(SessionError):  # what failed need not be able to let go
            await running.chat.decoder.release()
        opened, loaded = await _open_first(running.load, running.later_devices)
        assert isinstance(opened, _Talking)
        running.device = loaded.device
        running.later_devices = opened.later_devices
        self._running = running
        return opened.chat.decoder

    async def _release(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.release()


async def _open_first(asked: _Load, devices: Sequence[str]) -> tuple[_Vectors | _Talking, Loaded]:
    rejected: list[Rejected] = []
    for index, device in enumerate(devices):
        try:
            running, difference = await _open(asked, device, list(devices[index + 1 :]))
        except SessionError as error:
            rejected.append(Rejected(device, error.code, error.message))
            continue
        return running, Loaded(device, difference, rejected)
    if not rejected:
        raise CatalogError("option_invalid", "load was given no device to try")
    tried = "; ".join(f"{r.device}: {r.message}" for r in rejected)
    raise SessionError(rejected[-1].code, tried)


async def _open(asked: _Load, device: str, later: list[str]) -> tuple[_Vectors | _Talking, float]:
    model, dtype, tokenizer = asked.model, asked.dtype, asked.tokenizer
    asked.progress("session")
    opened: Any = await asked.open_session(device)
    try:
        asked.progress("warm_up")
        running: _Vectors | _Talking
        if isinstance(model.pipeline, TextGeneration):
            if asked.render is None:
                raise CatalogError("catalog_invalid", f"model {model.id!r} came without its template")
            chat = Chat(opened, tokenizer, asked.render, model.pipeline, asked.habits)
            running = _Talking(asked, chat, device, later)
            key = model.quality_key(device, dtype)
            difference = await decoder_canary_difference(model, key, opened, tokenizer)
        else:
            running = _Vectors(model.pipeline, opened, tokenizer)
            difference = await canary_difference(model, dtype, opened, tokenizer)
        if not difference <= model.canary.tolerance:
            raise SessionError(
                "canary_mismatch",
                f"{device} answers wrongly: off by {difference:.3g} where at most "
                f"{model.canary.tolerance:.3g} is right",
            )
    except BaseException:
        with contextlib.suppress(SessionError):  # why it is left counts, not that it cannot let go
            await opened.release()
        raise
    return running, difference
