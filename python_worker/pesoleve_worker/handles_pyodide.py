"""What Python holds of JS's in the page: tensors, sessions, decoders and tokenizers, each around an
object of ``site/worker/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from js import Object
from pyodide.ffi import JsException, to_js

from .errors import SessionError
from .host import Candidates, Tensor
from .work import Promised


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
        self._later = js_host.later
        self.input_names: list[str] = list(js_session.inputNames)
        self._output_names: list[str] = list(js_session.outputNames)

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
            outputs = await Promised(self._later(self._session, "run", js_feeds))
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error
        return {name: PyodideTensor(getattr(outputs, name), self._host) for name in self._output_names}

    async def release(self) -> None:
        try:
            await Promised(self._later(self._session, "release"))
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error


class PyodideDecoder:
    """Around the decoder of ``site/worker/python_host.js``."""

    def __init__(self, js_decoder: Any, js_host: Any) -> None:
        self._decoder = js_decoder
        self._later = js_host.later
        self.widest = int(js_decoder.widest)

    @property
    def length(self) -> int:
        return int(self._decoder.length)

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        try:
            answer = await Promised(self._later(self._decoder, "feed", to_js(list(ids)), top_k, keep))
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error
        found, logits = answer.ids.to_py(), answer.logits.to_py()
        width = len(found) // keep  # at most the vocabulary
        return [
            Candidates(found[i * width : (i + 1) * width], logits[i * width : (i + 1) * width], log)
            for i, log in enumerate(answer.normalizers.to_py())
        ]

    def truncate(self, length: int) -> None:
        self._decoder.truncate(length)

    async def reserve(self, tokens: int) -> None:
        try:
            await Promised(self._later(self._decoder, "reserve", tokens))
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error

    async def release(self) -> None:
        try:
            await Promised(self._later(self._decoder, "release"))
        except JsException as error:
            raise SessionError("run_failed", str(error)) from error


class PyodideTokenizer:
    def __init__(self, js_tokenizer: Any) -> None:
        self._encode = js_tokenizer.encode
        self._decode = js_tokenizer.decode

    def encode(self, text: str, special: bool = True) -> list[int]:
        return list(self._encode(text, special).to_py())

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._decode(to_js(list(ids))))
