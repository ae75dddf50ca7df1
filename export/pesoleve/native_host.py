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
from pesoleve_worker.host import Candidates
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


class NativeDecoder:
    """A decoder whose KV cache is numpy arrays.

    ``steps`` (first, most): the first ``first`` tokens of a text are fed one by one, later ones at most
    ``most`` at once, as ``graph.int8.STEPS`` asks for.
    """

    def __init__(
        self,
        graph: bytes,
        weights: Mapping[str, npt.NDArray[Any]],
        config: Mapping[str, str],
        steps: tuple[int, int] | None = None,
    ) -> None:
        self._steps = steps
        self.widest = 9 if steps is None else 1
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # As in the page: the graph is fused when it is built (``graph.cpu_kernels``).
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        for key, value in config.items():
            options.add_session_config_entry(key, value)
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no base class of its own
            raise SessionError("session_failed", str(error)) from error
        self._outputs = [value.name for value in self._session.get_outputs()]
        self._past = {
            value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
            for value in self._session.get_inputs()
            if value.name.startswith("past_key_values.")
        }
        self.length = 0

    async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
        outputs = self.run(ids, keep, self._outputs, top_k)
        values, found, normalizers = (
            outputs["top_values"],
            outputs["top_ids"],
            outputs["log_normalizer"],
        )
        return [
            Candidates(found[0, i].tolist(), values[0, i].tolist(), float(normalizers[0, i, 0]))
            for i in range(keep)
        ]

    def run(
        self, ids: Sequence[int], keep: int, outputs: Sequence[str], top_k: int = 1
    ) -> dict[str, npt.NDArray[Any]]:
        """Append ``ids`` and return these outputs of the graph for the last ``keep`` of them."""
        if self._steps is not None:
            first, most = self._steps
            width = 1 if self.length < first else most
            if len(ids) > width:
                later = ids[width:]
                kept_first = max(0, keep - len(later))
                before = self._run(ids[:width], max(1, kept_first), outputs, top_k)
                after = self.run(later, min(keep, len(later)), outputs, top_k)
                if kept_first:
                    for name in outputs:
                        if not name.startswith("present."):
                            after[name] = np.concatenate([before[name], after[name]], axis=1)
                return after
        return self._run(ids, keep, outputs, top_k)

    def _run(
        self, ids: Sequence[int], keep: int, outputs: Sequence[str], top_k: int
    ) -> dict[str, npt.NDArray[Any]]:
        total = self.length + len(ids)
        feeds = {
            "input_ids": np.asarray([ids], np.int64),
            "attention_mask": np.ones((1, total), np.int64),
            "logits_to_keep": np.arange(len(ids) - keep, len(ids), dtype=np.int64),
            "top_k": np.asarray([top_k], np.int64),
            **self._past,
        }
        wanted = [*outputs, *(name for name in self._outputs if name.startswith("present."))]
        try:
            values = dict(zip(wanted, self._session.run(wanted, feeds), strict=True))
        except Exception as error:  # onnxruntime has no base class of its own
            raise SessionError("run_failed", str(error)) from error
        for name in self._past:
            self._past[name] = values[name.replace("past_key_values", "present")]
        self.length = total
        return values

    def truncate(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"the cache holds {self.length} tokens, and cannot keep {length}")
        # An array longer than what is valid in it is a cache of fixed size to GroupQueryAttention;
        # ONNX Runtime 1.32 refuses to grow it (1.30 does not).
        self._past = {n: np.ascontiguousarray(past[:, :, :length]) for n, past in self._past.items()}
        self.length = length

    async def reserve(self, tokens: int) -> None:
        """Nothing: each step makes the cache anew."""

    async def release(self) -> None:
        del self._session


class NativeTokenizer:
    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, text: str, special: bool = True) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
