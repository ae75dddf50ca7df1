"""Run the page's own pipeline over many texts in CPython."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pesoleve_worker.catalog import Pipeline, TextClassification
from pesoleve_worker.pipelines.encoder import run_encoder

from ..native_host import NativeSession, NativeTensor, NativeTokenizer


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
