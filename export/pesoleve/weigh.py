"""What a model weighs, from its shape: a configuration, a file's header, or a count; no weight is
read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pesoleve_worker import weighing
from pesoleve_worker.catalog import Shape
from pesoleve_worker.formats import DTYPES, USUAL
from pesoleve_worker.model_config import ConfigError
from pesoleve_worker.sizing import device_sizes, estimate_files, published_shape
from pesoleve_worker.weighing import Weighed, weigh_tensors

from .errors import BudgetError, SourceError
from .headers import Header, read_header

CONFIG = "config.json"
STORED = "stored"
"""The name under which a file's own types are weighed beside ``DTYPES``."""

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
BYTES = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def weighable(names: Iterable[str]) -> list[str]:
    """Return the usual dtypes and those of ``names`` that there are."""
    return list(dict.fromkeys([*USUAL, *(name for name in names if name in DTYPES)]))


def weigh_source(source: str, dtypes: Sequence[str] = tuple(USUAL)) -> Weighed:
    """Weigh a directory, a ``config.json``, a ``.safetensors`` or ``.gguf`` file, each on a disk or at
    an address, or a model of the Hugging Face Hub by its id, in ``dtypes``.

    Raises:
        SourceError: when it is not there, cannot be read, or its family or a key is unknown or missing.
    """
    path = Path(source)
    if urlsplit(source).path.endswith((".gguf", ".safetensors")):
        return _weigh_header(source, read_header(source), dtypes)
    name, config = source, path
    if path.is_dir():
        name, config = str(path / CONFIG), path / CONFIG
    elif "://" in source:
        return _weigh_config(source, _fetch_json(source), dtypes)
    elif HUB_ID.fullmatch(source) and not path.exists():
        name, config = f"{source}/{CONFIG}", _from_hub(source)
    return _weigh_config(name, _read_json(config), dtypes)


def weigh_count(text: str, dtypes: Sequence[str] = tuple(USUAL)) -> Weighed:
    """Weigh ``2B`` or ``22.7M`` parameters in ``dtypes``.

    Raises:
        SourceError: when ``text`` is no count.
    """
    try:
        return weighing.weigh_count(text, dtypes)
    except ConfigError as error:
        raise SourceError(str(error)) from error


def only(weighed: Weighed, dtypes: Sequence[str]) -> Weighed:
    """Leave ``dtypes`` alone.

    Raises:
        SourceError: naming those that there are.
    """
    for name in dtypes:
        if name not in weighed.dtypes:
            there = ", ".join(dict.fromkeys([*weighed.dtypes, *DTYPES]))
            raise SourceError(f"{name!r} is no dtype; there are: {there}")
    kept = {name: found for name, found in weighed.dtypes.items() if name in dtypes}
    return replace(weighed, dtypes=kept)


def within(weighed: Weighed, budget: str | None, memory: str | None) -> list[str]:
    """Return the dtypes that travel in at most ``budget`` and open in at most ``memory``, like
    ``20MB``.

    Raises:
        SourceError: when one is no number of bytes.
        BudgetError: when there is none.
    """
    most_wire = float("inf") if budget is None else _bytes(budget)
    most_memory = float("inf") if memory is None else _bytes(memory)
    found = [
        dtype
        for dtype, size in weighed.dtypes.items()
        if size.wire_bytes <= most_wire and size.memory_bytes <= most_memory
    ]
    if not found:
        wire = min(size.wire_bytes for size in weighed.dtypes.values()) / 1e6
        least = min(size.memory_bytes for size in weighed.dtypes.values()) / 1e6
        asked = [*([] if budget is None else [f"{budget} on the wire"]),
                 *([] if memory is None else [f"{memory} of memory"])]  # fmt: skip
        raise BudgetError(
            f"no dtype fits {' and '.join(asked)}: the smallest travels in {wire:,.1f} MB, and the "
            f"least memory is {least:,.1f} MB"
        )
    return found


def _weigh_config(source: str, config: dict[str, Any], dtypes: Sequence[str]) -> Weighed:
    try:
        return weighing.weigh_config(config, dtypes)
    except ConfigError as error:
        raise SourceError(f"{source}: {error}") from error


def _weigh_header(source: str, header: Header, dtypes: Sequence[str]) -> Weighed:
    beside = Path(source).with_name(CONFIG)
    config = header.config or (_read_json(beside) if beside.is_file() else {})
    shape: Shape | None
    try:
        shape = published_shape(config)
    except ValueError:
        shape = None  # the file alone does not tell: the KV cache stays unknown
    weighed = weigh_tensors(header.tensors, shape, dtypes)
    sizes = device_sizes(header.tensors, shape, "q8_0")
    # What is left of an unknown mixture of types after zstd is anywhere between those of all types.
    least = min(form.zstd[0] for form in USUAL.values())
    most = max(form.zstd[2] for form in USUAL.values())
    smallest = min(sizes.values(), key=lambda size: size.memory_bytes)
    stored = estimate_files(header.stored_bytes, (least, 1, most), smallest, shape)
    return replace(weighed, dtypes={**weighed.dtypes, STORED: stored})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return _json_object(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read: give a directory, a config.json, a .safetensors or .gguf file, or "
            f"a model's id on the Hugging Face Hub"
        ) from error


def _fetch_json(address: str) -> dict[str, Any]:
    try:
        answer = httpx.get(address, follow_redirects=True, timeout=30).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"{address} cannot be read: {error}") from error
    return _json_object(address, answer.text)


def _json_object(source: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{source} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{source} should hold an object")
    return value


def _from_hub(repo: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, CONFIG))
    except (OSError, ValueError) as error:  # the hub's errors are these two
        raise SourceError(
            f"{repo} is no file here, and its config.json is not on the hub, or the hub cannot be "
            f"reached: {str(error).splitlines()[0]}"
        ) from error


def _bytes(text: str) -> float:
    try:
        return weighing.read_quantity(text, BYTES)
    except ConfigError as error:
        raise SourceError(f"{text!r} is not a number of bytes, like 20MB") from error
