"""Run the page's own pipeline over many texts in CPython."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pesoleve_worker.catalog import Model, Pipeline, TextClassification
from pesoleve_worker.pipelines.encoder import run_encoder

from ..graph.storage import GRAPH, WEIGHTS
from ..native_host import NativeSession, NativeTensor, NativeTokenizer
from ..pack import read_content


def embed(
    texts: list[str],
    graph_directory: Path,
    session_config: dict[str, str],
    tokenizer_path: Path,
    pipeline: Pipeline | TextClassification,
) -> npt.NDArray[np.float32]:
    """Load the built graph and run it on ``texts``; returns one row a text, float32."""
    session = NativeSession(graph_directory, session_config)
    tokenizer = NativeTokenizer(tokenizer_path)
    batches = asyncio.run(run_encoder(texts, session=session, tokenizer=tokenizer, pipeline=pipeline))
    width = batches[0].vectors.dims[1]
    rows = np.empty((len(texts), width), np.float32)
    for batch in batches:
        assert isinstance(batch.vectors, NativeTensor)
        rows[batch.indices] = batch.vectors.native
    return rows


def embed_built(texts: list[str], models: Path, model: Model, dtype: str) -> npt.NDArray[np.float32]:
    """Run an encoder on ``texts`` from the very files in ``models`` that the page fetches.

    Raises:
        FileNotFoundError, ValueError: when a file is missing, or is not what the catalog says.
    """
    assert isinstance(model.pipeline, Pipeline | TextClassification)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        names = {"graph": GRAPH, "weights": WEIGHTS, "tokenizer": "tokenizer.json"}
        for role, shards in model.files_for("wasm", dtype).items():
            (directory / names[role]).write_bytes(read_content(models, shards))
        config = model.devices["wasm"].session_config
        return embed(texts, directory, config, directory / "tokenizer.json", model.pipeline)
