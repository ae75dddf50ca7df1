"""An encoder's recipe to its catalog entry: export, optimize, and each dtype quantized and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from pesoleve_worker import canary as canary_module
from pesoleve_worker.catalog import (
    Canary,
    Model,
    Pipeline,
    Surrogate,
)
from pesoleve_worker.pipelines import encoder as pipeline_module
from pesoleve_worker.sizing import shape_from_config

from . import encoder_files, native_host, pack, surrogates
from .encoder_entry import Measured, check_quality, choose_default, count_parameters, lineage, quality
from .entry import Built, gather, identity
from .errors import SourceError
from .graph import export_onnx, optimize, pool, quantize, storage
from .measure import accuracy, datasets, embed, parity, reference
from .recipe import Dtype, Recipe
from .sources import ModelSource, resolve
from .stages import Stage, Stages

MEASURING = (native_host, pipeline_module, canary_module, embed, parity, accuracy, datasets)


def stage_count(recipe: Recipe) -> int:
    """How many stages ``build_encoder`` reports."""
    return 5 + 3 * len(recipe.dtypes)


def build_encoder(recipe: Recipe, stages: Stages) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Raises:
        SourceError, QualityError: and nothing is published.
    """
    source = resolve(recipe.source)
    try:
        shape = shape_from_config(source.read_json("config.json"))
    except ValueError as error:
        raise SourceError(f"{source.locator}: {error}") from error
    pipeline = Pipeline(recipe.export.max_length, pool.OUTPUT, shape.hidden)
    exported = stages.run(
        "export",
        "export to ONNX",
        partial(export_onnx.export_onnx, source.directory, recipe.task, recipe.export.opset),
        code=(export_onnx, storage),
        depends_on={"source": source.sha256, "task": recipe.task, "opset": recipe.export.opset},
    )

    def optimize_graph(output: Path) -> None:
        path = exported.output / storage.GRAPH
        fused = optimize.fuse(path, shape.family, shape.heads, shape.hidden)
        pooling = recipe.pooling
        storage.save(pool.add_pooling(fused, pooling.mode, pooling.normalize), output)

    optimized = stages.run(
        "optimize",
        "fuse attention, pool and normalize in the graph",
        optimize_graph,
        code=(optimize, pool, storage),
        depends_on={"exported": exported.key, "pooling": recipe.pooling.model_dump()},
    )
    referenced = cache(lambda: _reference(recipe, source, stages))
    tokenizer = stages.run(
        "tokenizer",
        "pack the tokenizer",
        partial(pack.pack_tokenizer, source.read_json("tokenizer.json"), recipe.id),
        code=(pack,),
        depends_on={"source": source.sha256, "id": recipe.id},
    )
    files = pack.read_list(tokenizer.output)
    measured: dict[str, Measured] = {}
    cuts: dict[str, list[Surrogate]] = {}
    packs = [tokenizer]
    for name, dtype in recipe.dtypes.items():
        quantized = _quantize(name, dtype, optimized, stages)
        measured[name] = _measure(recipe, name, source, quantized, referenced, pipeline, stages)
        check_quality(recipe, name, measured[name])
        packed = encoder_files.pack_dtype(
            recipe.id, name, quantized, shape.layers, stages, f"{name}: compress and hash"
        )
        cuts[name] = surrogates.read_note(packed.output)["file"]
        packs.append(packed)
        files += pack.read_list(packed.output)
    gathered = gather(packs, stages)
    graph = storage.load(optimized.output)
    parameters = count_parameters(source.directory, graph)
    device = encoder_files.device(recipe.dtypes, files, graph, shape, cuts)
    model = Model(
        **identity(recipe, source, parameters),
        lineage=lineage(recipe, measured, files),
        quality=quality(recipe, measured),
        shape=shape,
        pipeline=pipeline,
        default_dtype=choose_default(recipe, measured, files),
        files=files,
        devices=dict.fromkeys(("wasm", "webgpu"), device),
        canary=Canary(
            recipe.canary.inputs,
            {name: _rounded(result.canary) for name, result in measured.items()},
            recipe.canary.tolerance,
        ),
    )
    return Built(model, gathered.output)


def _reference(recipe: Recipe, source: ModelSource, stages: Stages) -> Stage:
    pairs = datasets.load_pairs(recipe.measure.dataset)

    def work(output: Path) -> None:
        vectors = reference.reference_vectors(
            source.directory,
            [*pairs.first, *pairs.second],
            recipe.export.max_length,
            recipe.pooling.mode,
            recipe.pooling.normalize,
        )
        np.save(output / "vectors.npy", vectors)

    return stages.run(
        "reference",
        f"measure transformers on {pairs.name}",
        work,
        code=(reference, datasets),
        depends_on={
            "source": source.sha256,
            "dataset": recipe.measure.dataset,
            "max_length": recipe.export.max_length,
            "pooling": recipe.pooling.model_dump(),
        },
    )


def _quantize(name: str, dtype: Dtype, optimized: Stage, stages: Stages) -> Stage:
    def work(output: Path) -> None:
        model = storage.load(optimized.output)
        if dtype.bits != 32:
            model = encoder_files.quantize_blocks(model, name, dtype)
        storage.save(model, output)

    spec = {} if dtype.bits == 32 else {"block_size": dtype.block_size}
    return stages.run(
        "quantize",
        f"{name}: write the weights in {dtype.bits} bits",
        work,
        code=(quantize, storage),
        depends_on={"optimized": optimized.key, "bits": dtype.bits, **spec},
    )


def _measure(
    recipe: Recipe,
    name: str,
    source: ModelSource,
    quantized: Stage,
    referenced: Callable[[], Stage],
    pipeline: Pipeline,
    stages: Stages,
) -> Measured:
    def work() -> dict[str, Any]:
        pairs = datasets.load_pairs(recipe.measure.dataset)
        vectors = embed.embed(
            [*pairs.first, *pairs.second, *recipe.canary.inputs],
            quantized.output,
            quantize.SESSION_CONFIG,
            source.directory / "tokenizer.json",
            pipeline,
        )
        n = len(pairs.scores)
        expected = np.load(referenced().output / "vectors.npy")
        result = Measured(
            n=n,
            value=accuracy.spearman(vectors[:n], vectors[n : 2 * n], pairs.scores),
            reference_value=accuracy.spearman(expected[:n], expected[n:], pairs.scores),
            parity=parity.parity(vectors[: 2 * n], expected),
            canary=[[round(float(v), 6) for v in row] for row in vectors[2 * n :]],
        )
        return asdict(result)

    told = stages.measure(
        f"{name}: load, run, and measure on {recipe.measure.dataset}",
        work,
        model_id=recipe.id,
        dtype=name,
        of={"quantized": quantized},
        code=(*MEASURING, reference),
        depends_on={
            "source": source.sha256,
            "dataset": recipe.measure.dataset,
            "pooling": recipe.pooling.model_dump(),
            "pipeline": asdict(pipeline),
            "canary": recipe.canary.inputs,
        },
    )
    return Measured.from_json(told)


def _rounded(vectors: list[list[float]]) -> list[list[float]]:
    """Return what a canary needs, a fortieth of the tightest tolerance, in a catalog that every visitor
    fetches."""
    return [[round(value, 4) for value in vector] for vector in vectors]
