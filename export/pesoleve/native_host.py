"""The CPython side of the seam: onnxruntime and tokenizers. The export measures through it, with the
very pipeline that runs in the page; so do the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from pesoleve_worker.errors import SessionError
from pesoleve_worker.host import Tensor as HostTensor

from .graph.storage import GRAPH


class NativeTensor:
    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.native = array

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(self.native.shape)

    def largest_difference(self, expected: Sequence[float]) -> float:
        flat = self.native.reshape(-1)
        if flat.size != len(expected) or not np.isfinite(flat).all():
            return float("inf")
        return float(np.abs(flat - np.asarray(expected, flat.dtype)).max(initial=0.0))

    def dispose(self) -> None:
        self.native = np.empty(0)


class NativeSession:
    def __init__(self, directory: Path, config: Mapping[str, str]) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        for key, value in config.items():
            options.add_session_config_entry(key, value)
        try:
            self._session = ort.InferenceSession(
                str(directory / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no base class of its own
            raise SessionError("session_failed", str(error)) from error
        self.input_names: list[str] = [value.name for value in self._session.get_inputs()]
        self._output_names = [value.name for value in self._session.get_outputs()]

    def int64_tensor(self, rows: Sequence[Sequence[int]]) -> NativeTensor:
        return NativeTensor(np.asarray(rows, np.int64))

    async def run(self, feeds: Mapping[str, HostTensor]) -> dict[str, HostTensor]:
        try:
            outputs = self._session.run(None, {name: t.native for name, t in feeds.items()})
        except Exception as error:  # onnxruntime has no base class of its own
            raise SessionError("run_failed", str(error)) from error
        return {n: NativeTensor(o) for n, o in zip(self._output_names, outputs, strict=True)}

    async def release(self) -> None:
        del self._session


class NativeTokenizer:
    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)
