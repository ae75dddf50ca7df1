"""What a model weighs, from its ``config.json`` or a count of parameters: nothing is downloaded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pesoleve_worker.architecture import tensors_of
from pesoleve_worker.catalog import Parameters
from pesoleve_worker.sizing import (
    DTYPES,
    count_parameters,
    uniform_weight_bytes,
    weight_bytes,
    weight_class,
)

from .errors import BudgetError, SourceError

UNITS = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
BYTES = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Weighed:
    """``weights``: bytes by dtype before zstd, which takes off about a tenth."""

    parameters: Parameters
    weight_class: str
    weights: dict[str, int]


def weigh_config(source: Path) -> Weighed:
    """Weigh what a ``config.json``, or the directory that holds it, describes, tensor by tensor.

    Raises:
        SourceError: when there is none, it is no JSON, or its family or a key is unknown or missing.
    """
    path = source / "config.json" if source.is_dir() else source
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: give a directory or a config.json") from error
    except ValueError as error:
        raise SourceError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise SourceError(f"{path} should hold an object")
    config = config.get("text_config", config)  # Gemma 3 with eyes: the model that writes is in it
    try:
        tensors = tensors_of(config)
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error
    parameters = count_parameters(tensors)
    weights = {dtype: weight_bytes(tensors, dtype) for dtype in DTYPES}
    return Weighed(parameters, weight_class(parameters.total), weights)


def weigh_count(text: str) -> Weighed:
    """Weigh ``2B`` or ``22.7M`` parameters, all in the blocks of matrices.

    Raises:
        SourceError: when ``text`` is no count.
    """
    count = round(_quantity(text, UNITS, "a count of parameters, like 2B or 22.7M"))
    weights = {dtype: uniform_weight_bytes(count, dtype) for dtype in DTYPES}
    return Weighed(Parameters(count, count, 0), weight_class(count), weights)


def within(weighed: Weighed, budget: str) -> list[str]:
    """Return the dtypes whose weights are at most ``budget``, like ``20MB``.

    Raises:
        SourceError: when ``budget`` is no number of bytes.
        BudgetError: when there is none.
    """
    most = _quantity(budget, BYTES, "a number of bytes, like 20MB")
    found = [dtype for dtype, size in weighed.weights.items() if size <= most]
    if not found:
        least = min(weighed.weights, key=weighed.weights.__getitem__)
        size = weighed.weights[least] / 1e6
        raise BudgetError(f"no dtype fits {budget}: the smallest, {least}, takes {size:,.1f} MB")
    return found


def _quantity(text: str, units: dict[str, float], wanted: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([a-z]*)\s*", text, re.IGNORECASE)
    if match is None or match.group(2).upper() not in units:
        raise SourceError(f"{text!r} is not {wanted}")
    return float(match.group(1)) * units[match.group(2).upper()]
