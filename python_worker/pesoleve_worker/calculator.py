"""What the page's calculator asks: a pasted configuration or a count, weighed. JSON in, JSON out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .architecture import TensorShape, tensors_of
from .catalog import Shape
from .model_config import ConfigError
from .sizing import device_sizes, published_shape
from .weighing import weigh_config, weigh_count

LARGEST_TEXT = 1_000_000
"""Characters; a configuration has a few thousand."""
MOST_BRACKETS = 1000
"""Nested, more would overflow the browser's stack, which Python in WebAssembly does not survive."""


def weigh(text: str) -> str:
    """Weigh ``text``, a ``config.json`` or a count like ``2B``.

    Returns:
        ``{"ok": {parameters, weight_class, encoder, shape, dtypes: {<dtype>: {…, sizes}}}}``, sizes by
        device, or ``{"error": {code, detail}}`` with a code of ``CONFIG_PROBLEMS``. As JSON.
    """
    try:
        return json.dumps({"ok": _weigh(text)})
    except ConfigError as error:
        return json.dumps({"error": {"code": error.code, "detail": error.detail}})


def _weigh(text: str) -> dict[str, Any]:
    text = text.strip()
    if not text.startswith(("{", "[", '"')):
        weighed = weigh_count(text)
        one = TensorShape("weights", "matrix", (-(-weighed.parameters.total // 256), 256))
        return _answer(weighed, [one], None)
    config = _parse(text)
    return _answer(weigh_config(config), tensors_of(config), published_shape(config))


def _parse(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_TEXT:
        raise ConfigError("not_json", f"{len(text)} characters")
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise ConfigError("not_json", "too many brackets")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ConfigError("not_json", str(error)[:80]) from error
    if not isinstance(config, dict):
        raise ConfigError("not_json", type(config).__name__)
    return config


def _answer(weighed: Any, tensors: list[TensorShape], shape: Shape | None) -> dict[str, Any]:
    answer = asdict(weighed)
    for dtype, size in answer["dtypes"].items():
        sizes = device_sizes(tensors, shape, dtype)
        size["sizes"] = {device: asdict(of) for device, of in sizes.items()}
    answer["encoder"] = all(size["kv_bytes_per_token"] == 0 for size in answer["dtypes"].values())
    vocabulary, hidden = (0, 0) if shape is None else (shape.vocabulary, shape.hidden)
    answer["shape"] = {"vocabulary": vocabulary, "hidden": hidden}
    return answer
