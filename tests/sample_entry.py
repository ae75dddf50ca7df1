"""A small valid catalog entry with its files, made without building anything."""

from __future__ import annotations

from pathlib import Path

from pesoleve.pack import pack
from pesoleve_worker.catalog import (
    Canary,
    Device,
    License,
    LineageStep,
    Model,
    Parameters,
    Pipeline,
    Quality,
    Shape,
    Sizes,
    Source,
    Surrogate,
)


def sample_model(packed: Path, model_id: str = "sample", weights: bytes = b"weights") -> Model:
    """Write three packed files into ``packed`` and return the entry that names them."""
    packed.mkdir(parents=True, exist_ok=True)
    files = [
        *pack(b"{}", "tokenizer", None, model_id, packed),
        *pack(b"graph", "graph", "fp32", model_id, packed),
        *pack(weights, "weights", "fp32", model_id, packed),
    ]
    device = Device(
        "file",
        {"session.disable_quant_qdq": "1"},
        {"fp32": [file.path for file in files]},
        {"fp32": Sizes(70_000_000, 71_000_000, 400, 64, 16, 0)},
        {"fp32": [Surrogate(files[1].path, 1, 64)]},
    )
    return Model(
        id=model_id,
        title={"en": "Sample", "pt-BR": "Amostra"},
        summary={"en": "A sample.", "pt-BR": "Uma amostra."},
        task="feature_extraction",
        weight_class="straw",
        parameters=Parameters(total=3, stored=2, embedding=1),
        license=License("Apache-2.0", "https://example.org/license", "nobody", True),
        source=Source("directory", "sample", "", "0" * 64),
        lineage=[LineageStep("quantization", "q4", "4 bits", 0.8, 0.7, 20, 10)],
        quality=[Quality("fp32", "spearman", "stsb-test", 1379, 0.8, 0.8, None)],
        shape=Shape("bert", 2, 4, 1, 1, 4, 8, 100, 16),
        pipeline=Pipeline(16, "sentence_embedding", 4),
        default_dtype="fp32",
        files=files,
        devices={"wasm": device, "webgpu": device},
        canary=Canary(["hello"], {"fp32": [[0.0, 0.0, 0.0, 1.0]]}, 0.001),
    )
