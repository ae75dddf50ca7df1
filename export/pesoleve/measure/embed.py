"""Run the page's own pipeline over many texts in CPython."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pesoleve_worker.catalog import Pipeline
from pesoleve_worker.pipelines.feature_extraction import feature_extraction

from ..native_host import NativeSession, NativeTensor, NativeTokenizer


def embed(
    texts: list[str],
    graph_directory: Path,
    session_config: dict[str, str],
    tokenizer_path: Path,
    pipeline: Pipeline,
) -> npt.NDArray[np.float32]:
    """Load the built graph and embed ``texts``; returns (len(texts), dimensions), float32."""
    session = NativeSession(graph_directory, session_config)
    tokenizer = NativeTokenizer(tokenizer_path)
    batches = asyncio.run(
        feature_extraction(texts, session=session, tokenizer=tokenizer, pipeline=pipeline)
    )
    vectors = np.empty((len(texts), pipeline.dimensions), np.float32)
    for batch in batches:
        assert isinstance(batch.vectors, NativeTensor)
        vectors[batch.indices] = batch.vectors.native
    return vectors
