"""Is what was built what the catalog says? Every file, every hash, every dtype's canary."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pesoleve_worker.canary import canary_difference, decoder_canary_difference
from pesoleve_worker.catalog import Model, Role, TextGeneration
from pesoleve_worker.errors import PesoLeveError

from .catalog import CATALOG, read
from .errors import CheckError
from .graph import layouts
from .graph.storage import GRAPH, WEIGHTS
from .native_host import NativeDecoder, NativeSession, NativeTokenizer
from .pack import read_content
from .planes import read_planes

DEVICE = "wasm"
"""Whose session configuration is used: the one whose arithmetic is the CPU's."""


@dataclass(frozen=True)
class Checked:
    """One dtype that loads, runs, and answers its canary within ``tolerance``."""

    model: str
    dtype: str
    bytes: int
    canary_difference: float
    tolerance: float


def check(models: Path, report: Callable[[str], None] = lambda _label: None) -> list[Checked]:
    """Check everything in ``models``.

    Raises:
        CheckError: naming the first thing that is wrong.
    """
    catalog = read(models)
    if not catalog.models:
        raise CheckError(f"{models / CATALOG} holds no model. Run: pesoleve build")
    checked = []
    for model in catalog.models:
        if DEVICE not in model.devices:
            raise CheckError(f"{model.id} has no {DEVICE} device, the one that is checked here")
        for dtype in model.devices[DEVICE].files:
            report(f"{model.id} {dtype}")
            checked.append(_check_dtype(models, model, dtype))
    return checked


def _check_dtype(models: Path, model: Model, dtype: str) -> Checked:
    try:
        files = model.files_for(DEVICE, dtype)
        contents = {role: read_content(models, shards) for role, shards in files.items()}
        difference = _run_canary(model, dtype, contents)
    except FileNotFoundError as error:
        raise CheckError(f"{error.filename} is missing. Run: pesoleve build {model.id}") from error
    except ValueError as error:
        raise CheckError(f"{error}. Run: pesoleve build {model.id}") from error
    except PesoLeveError as error:
        raise CheckError(f"{model.id} in {dtype}: {error.message}") from error
    if not difference <= model.canary.tolerance:
        raise CheckError(
            f"{model.id} in {dtype} answers its canary {difference:.3g} off; at most "
            f"{model.canary.tolerance:.3g} is right"
        )
    total = sum(file.bytes for file in model.wire_files(DEVICE, dtype))
    return Checked(model.id, dtype, total, difference, model.canary.tolerance)


def _run_canary(model: Model, dtype: str, contents: Mapping[Role, bytes]) -> float:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "tokenizer.json").write_bytes(contents["tokenizer"])
        device = model.devices[DEVICE]
        if isinstance(model.pipeline, TextGeneration):
            weights = layouts.expand(read_planes(contents["weights"]), device.layout)
            decoder = NativeDecoder(contents["graph"], weights, device.session_config)
            tokenizer = NativeTokenizer(directory / "tokenizer.json")
            return asyncio.run(decoder_canary_difference(model, dtype, decoder, tokenizer))
        (directory / GRAPH).write_bytes(contents["graph"])
        (directory / WEIGHTS).write_bytes(contents["weights"])
        session = NativeSession(directory, device.session_config)
        tokenizer = NativeTokenizer(directory / "tokenizer.json")
        return asyncio.run(canary_difference(model, dtype, session, tokenizer))
