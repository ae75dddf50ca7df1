"""The page's side of the seam: with ``handles_pyodide``, all that imports pyodide or js.

``site/worker/worker.js`` calls ``create``, then ``call`` for every message. A JS host object does
what only JS can: open an ORT session, tokenize, and hold tensors.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from js import Object, Promise
from pyodide.ffi import JsException, to_js

from .app import App
from .catalog import Model, TextGeneration
from .errors import InputError, PesoLeveError, SessionError, WorkerError, report
from .generation.ngrams import NO_HABITS, Ngrams
from .handles_pyodide import PyodideDecoder, PyodideSession, PyodideTokenizer
from .parse import parse
from .pipelines.text_generation import Message, Render
from .work import Promised, Turn, Work


def plain(value: Any) -> Any:
    """Return what the page sent as Python's own: lists and dicts, or what was neither as it is."""
    return value.to_py() if hasattr(value, "to_py") else value


@dataclass(frozen=True)
class _Defined:
    model: Model
    dtype: str
    tokenizer: PyodideTokenizer
    render: Render | None


class Worker:
    """Answers the page's messages. Every method takes and returns what ``postMessage`` can carry."""

    def __init__(self, js_host: Any) -> None:
        self._host = js_host
        self._later = js_host.later
        self._app = App(Turn(Promise.withResolvers))
        self._defined: _Defined | None = None

    async def define(self, request: int, payload: Any) -> None:
        """Read what the next load is of, while its weights are on their way."""
        del request
        model = parse(Model, json.loads(payload.model))
        tokenizer = PyodideTokenizer(self._host.openTokenizer(payload.tokenizer))
        render = None
        if isinstance(model.pipeline, TextGeneration):
            render = await self._chat_template(model.pipeline)
        self._defined = _Defined(model, str(payload.dtype), tokenizer, render)

    async def load(self, request: int, payload: Any) -> Any:
        del request
        if self._defined is None:
            raise WorkerError("protocol_error", "'load' came before 'define'")
        defined = self._defined
        devices = list(payload.devices)

        async def open_session(device: str) -> Any:
            try:
                if defined.render is None:
                    opening = self._later(self._host, "openSession", device)
                    return PyodideSession(await Promised(opening), self._host)
                opening = self._later(self._host, "openDecoder", device)
                return PyodideDecoder(await Promised(opening), self._host)
            except JsException as error:
                raise SessionError("session_failed", str(error)) from error

        vocabulary = defined.model.shape.vocabulary
        content = payload.ngrams
        habits = Ngrams.parse(content.to_bytes(), vocabulary) if content else NO_HABITS
        loaded = await self._app.load(
            defined.model,
            defined.dtype,
            devices,
            defined.tokenizer,
            open_session,
            payload.onStage,
            defined.render,
            habits,
        )
        return to_js(asdict(loaded), dict_converter=Object.fromEntries)

    async def _chat_template(self, pipeline: TextGeneration) -> Render:
        settings = to_js(asdict(pipeline), dict_converter=Object.fromEntries)
        js_render = await Promised(self._later(self._host, "openChatTemplate", settings))

        def render(messages: list[Message]) -> str:
            try:
                return str(js_render(to_js(messages, dict_converter=Object.fromEntries)))
            except JsException as error:
                raise InputError(
                    "input_invalid", f"the model's chat template refuses this conversation: {error}"
                ) from error

        return render

    async def generate(self, request: int, payload: Any) -> Any:
        result = await self._app.generate(
            request,
            plain(payload.messages),
            plain(payload.options),
            lambda text, ids, logs: payload.onToken(text, to_js(ids), to_js(logs)),
            payload.onPrefill,
        )
        return to_js(result, dict_converter=Object.fromEntries)

    async def run(self, request: int, payload: Any) -> Any:
        batches = await self._app.run(request, plain(payload.inputs))
        pairs = [[batch.indices, batch.vectors.native] for batch in batches]
        return self._host.collectVectors(to_js(pairs))

    async def unload(self, request: int, payload: Any) -> None:
        del request, payload
        await self._app.unload()

    def cancel(self, request: int) -> None:
        self._app.cancel(request)

    def call(self, kind: str, request: int, payload: Any) -> Work:
        """Begin one message, whose answer is ``{ok}`` or ``{error}``; its coroutine never raises."""
        return Work(self._answer(kind, request, payload))

    async def _answer(self, kind: str, request: int, payload: Any) -> Any:
        methods: dict[str, Callable[[int, Any], Awaitable[Any]]] = {
            "define": self.define,
            "load": self.load,
            "run": self.run,
            "generate": self.generate,
            "unload": self.unload,
        }
        try:
            if kind not in methods:
                raise WorkerError("protocol_error", f"the worker knows no message {kind!r}")
            answer = {"ok": await methods[kind](request, payload)}
        except (PesoLeveError, Exception) as error:  # noqa: BLE001  the boundary: reported, not hidden
            answer = {"error": report(error, kind)}
        return to_js(answer, dict_converter=Object.fromEntries)


def create(js_host: Any) -> Worker:
    """Make the worker's one ``Worker`` around JS's host object (``site/worker/python_host.js``)."""
    return Worker(js_host)
