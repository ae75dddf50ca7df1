"""The page's side of the seam: the only module that imports pyodide or js.

``site/worker/worker.js`` calls ``create``, then ``call`` for every message. A JS host object does
what only JS can: open an ORT session, tokenize, and hold tensors.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14, in the page
from js import Object, Uint8Array
from pyodide.ffi import JsException, to_js

from .app import App
from .catalog import Model, parse
from .errors import DownloadError, PesoLeveError, SessionError, WorkerError, report
from .host import Tensor

CHUNK = 1 << 20


class PyodideTensor:
    def __init__(self, js_tensor: Any, js_host: Any) -> None:
        self._tensor = js_tensor
        self._host = js_host

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(self._tensor.dims.to_py())

    @property
    def native(self) -> Any:
        return self._tensor

    def largest_difference(self, expected: Sequence[float]) -> float:
        return float(self._host.largestDifference(self._tensor, to_js(list(expected))))

    def dispose(self) -> None:
        self._tensor.dispose()


class PyodideSession:
    def __init__(self, js_session: Any, js_host: Any) -> None:
        self._session = js_session
        self._host = js_host
        self.input_names: list[str] = list(js_session.inputNames)

    def int64_tensor(self, rows: Sequence[Sequence[int]]) -> PyodideTensor:
        flat = [value for row in rows for value in row]
        tensor = self._host.int64Tensor(to_js(flat), len(rows), len(rows[0]))
        return PyodideTensor(tensor, self._host)

    async def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        js_feeds = to_js(
            {name: tensor.native for name, tensor in feeds.items()},
            dict_converter=Object.fromEntries,
        )
        try:
            outputs = await self._session.run(js_feeds)
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error
        entries = Object.entries(outputs)
        return {str(name): PyodideTensor(tensor, self._host) for name, tensor in entries}

    async def release(self) -> None:
        await self._session.release()


class PyodideTokenizer:
    def __init__(self, js_tokenizer: Any) -> None:
        self._encode = js_tokenizer.encode

    def encode(self, text: str) -> list[int]:
        return list(self._encode(text).to_py())


def decode(codec: str, wire: Any, decoded_bytes: int) -> Any:
    """Return ``wire`` (a JS Uint8Array) decoded, as a JS Uint8Array of ``decoded_bytes``.

    A mebibyte at a time, so that no second whole copy lives in Python's memory.

    Raises:
        DownloadError: ``file_truncated`` when it decodes to another length or not at all.
    """
    if codec == "identity":
        return wire
    decoded = Uint8Array.new(decoded_bytes)
    decompressor = zstd.ZstdDecompressor()
    written = 0
    try:
        for start in range(0, wire.length, CHUNK):
            piece = decompressor.decompress(
                wire.subarray(start, min(start + CHUNK, wire.length)).to_bytes()
            )
            if written + len(piece) > decoded_bytes:
                break
            decoded.subarray(written, written + len(piece)).assign(piece)
            written += len(piece)
    except zstd.ZstdError as error:
        raise DownloadError("file_truncated", f"zstd cannot decode the file: {error}") from error
    if written != decoded_bytes or not decompressor.eof:
        raise DownloadError(
            "file_truncated", f"the file decodes to {written} bytes, not {decoded_bytes}"
        )
    return decoded


class Worker:
    """Answers the page's messages. Every method takes and returns what ``postMessage`` can carry."""

    def __init__(self, js_host: Any) -> None:
        self._host = js_host
        self._app = App()

    async def load(self, request: int, payload: Any) -> Any:
        del request
        model = parse(Model, json.loads(payload.model))
        dtype, devices = str(payload.dtype), list(payload.devices)
        payload.onStage("decode")
        files = {
            role: decode(file.codec, getattr(payload.files, role), file.decoded_bytes)
            for role, file in model.files_for(devices[0], dtype).items()
        }
        tokenizer = PyodideTokenizer(self._host.openTokenizer(files["tokenizer"]))

        async def open_session(device: str) -> PyodideSession:
            config = to_js(model.devices[device].session_config, dict_converter=Object.fromEntries)
            try:
                session = await self._host.openSession(device, files["graph"], files["weights"], config)
            except JsException as error:
                raise SessionError("session_failed", str(error)) from error
            return PyodideSession(session, self._host)

        loaded = await self._app.load(model, dtype, devices, tokenizer, open_session, payload.onStage)
        return to_js(asdict(loaded), dict_converter=Object.fromEntries)

    async def run(self, request: int, payload: Any) -> Any:
        inputs = payload.inputs
        batches = await self._app.run(request, inputs.to_py() if hasattr(inputs, "to_py") else inputs)
        pairs = [[batch.indices, batch.vectors.native] for batch in batches]
        return self._host.collectVectors(to_js(pairs))

    async def unload(self, request: int, payload: Any) -> None:
        del request, payload
        await self._app.unload()

    def cancel(self, request: int) -> None:
        self._app.cancel(request)

    async def call(self, kind: str, request: int, payload: Any) -> Any:
        """Do one message; return ``{ok}`` or ``{error}``, never raise."""
        methods: dict[str, Callable[[int, Any], Awaitable[Any]]] = {
            "load": self.load,
            "run": self.run,
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
    """Make the worker's one ``Worker`` around JS's host object (``site/worker/ort_host.js``)."""
    return Worker(js_host)
