"""What is judged: every built model, on which threads, CPU and connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from pesoleve_worker.sizing import PYTHON_HEAP

from ..server import SITE

MINILM, CHAT = "minilm-l6", "smollm2-135m-instruct"
DEVICES = ("wasm", "wasm_small")
CONNECTIONS = (20, 100)
"""Megabits a second."""
BESIDE = (
    (MINILM, "wasm", "fp32", None),
    (CHAT, "wasm", "q3", None),
    (MINILM, "wasm", "q4", 5),
)
"""With 2 threads: other dtypes, and a connection that takes too long for everything."""


@dataclass(frozen=True)
class Case:
    id: str
    device: str
    dtype: str
    threads: int
    slower: float = 1
    megabits: float | None = None


def catalog() -> list[dict[str, Any]]:
    content = (SITE / "models/catalog.json").read_text(encoding="utf-8")
    models: list[dict[str, Any]] = json.loads(content)["models"]
    return models


def cases() -> Iterator[Case]:
    built = [
        (model["id"], device, model["default_dtype"])
        for model in catalog()
        for device in DEVICES
        if device in model["devices"]
    ]
    for id, device, dtype, megabits in BESIDE:
        yield Case(id, device, dtype, 2, 1, megabits)
    for slower, threads in product((1, 2, 4), (2, 1)):
        for id, device, dtype in built:
            yield Case(id, device, dtype, threads, slower)
    # The longest downloads come last.
    built.sort(key=lambda model: model[0] == CHAT)
    for (id, device, dtype), *conditions in product(built, (2, 1), (1, 2, 4), CONNECTIONS):
        yield Case(id, device, dtype, *conditions)


def needed_mb(id: str, device: str) -> int:
    """Return the WebAssembly memory that a model is said to need, in its default dtype."""
    (model,) = (model for model in catalog() if model["id"] == id)
    sizes = model["devices"][device]["sizes"][model["default_dtype"]]
    return -(-(int(sizes["memory_bytes"]) - PYTHON_HEAP) // 1_000_000)


def shapes() -> Iterator[tuple[tuple[str, str, str], tuple[object, ...]]]:
    """Yield each model, device and dtype with what a load and a run of it are: the layout that
    it computes in, its multiply-adds, the bytes that it reads, those that are fetched to two digits."""
    for model in catalog():
        bytes_of = {file["path"]: file["bytes"] for file in model["files"]}
        for device, found in model["devices"].items():
            for dtype, sizes in found["sizes"].items():
                fetched = sum(bytes_of[path] for path in found["files"][dtype])
                work = (found["layout"], sizes["multiply_adds"], sizes["read_bytes"])
                yield (model["id"], device, dtype), (*work, f"{fetched:.1e}")
