"""Run a graph directly, and compute in numpy what it should answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from transformers import AutoModel

from pesoleve.graph import storage
from pesoleve.native_host import NativeSession

Array = npt.NDArray[Any]

LENGTHS = (9, 5, 2)


def feeds() -> dict[str, Array]:
    """Three rows of random ids, two of them padded."""
    width = max(LENGTHS)
    ids = np.random.default_rng(3).integers(5, 150, (len(LENGTHS), width))
    mask = (np.arange(width) < np.array(LENGTHS)[:, None]).astype(np.int64)
    return {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(ids),
    }


def run_saved(
    directory: Path,
    config: Mapping[str, str] | None = None,
    given: Mapping[str, Array] | None = None,
) -> Array:
    """The first output of the graph in ``directory`` for ``given``, or for ``feeds``."""
    session = NativeSession(directory, config or {})
    values = given or feeds()
    tensors = {name: session.int64_tensor(values[name].tolist()) for name in session.input_names}
    (output,) = asyncio.run(session.run(tensors)).values()
    return np.asarray(output.native)


def run(model: onnx.ModelProto, directory: Path, config: Mapping[str, str] | None = None) -> Array:
    """Save ``model`` into ``directory``, which is made, and run it."""
    directory.mkdir()
    storage.save(model, directory)
    return run_saved(directory, config)


def hidden_states(model_directory: Path) -> Array:
    """What transformers answers for ``feeds``, token by token."""
    model = AutoModel.from_pretrained(str(model_directory)).eval()
    with torch.inference_mode():
        output = model(**{name: torch.from_numpy(value) for name, value in feeds().items()})
    return np.asarray(output.last_hidden_state.numpy())
