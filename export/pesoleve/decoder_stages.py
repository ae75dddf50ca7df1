"""The stages of a decoder's build: import, reference, survey; for each dtype weights, measure, pack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tokenizers import Tokenizer

from pesoleve_worker.catalog import Shape, Surrogate

from . import blocks, native_host, pack, planes, surrogates, weights
from .errors import RecipeError
from .graph import decoder, exact_gguf, int8, layouts, storage, surrogate
from .measure import datasets, perplexity
from .recipe import DecoderRecipe, WeightsDtype
from .sources import ModelSource, gguf_file, gguf_tokenizer
from .stages import Stage, Stages

SURVEY = "survey.npz"
INT8_SHARE = 4
"""The int8 layout, which runs in small steps, is measured on one window in so many."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that a stage, or the source, left."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def import_source(source: ModelSource, stages: Stages) -> Path:
    """The model in the Hugging Face layout."""
    if source.kind != "gguf":
        return source.directory
    stage = stages.run(
        "import",
        "read the GGUF",
        lambda output: gguf_file.GgufFile(source.directory).write_directory(output),
        code=(gguf_file, gguf_tokenizer, exact_gguf, blocks),
        depends_on={"source": source.sha256},
    )
    return stage.output


def measure_reference(
    recipe: DecoderRecipe, source: ModelSource, directory: Path, stages: Stages
) -> Stage:
    def work(output: Path) -> None:
        text = datasets.load_text(recipe.measure.dataset)
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        # Ten characters a token are plenty.
        ids = tokenizer.encode(text[: 10 * recipe.measure.tokens], add_special_tokens=False).ids
        texts = perplexity.windows(ids, recipe.measure.tokens, recipe.measure.window)
        logits = perplexity.reference_logits(directory)
        for index, window in enumerate(texts):
            np.save(output / f"{index}.npy", logits(window))
        (output / "texts.json").write_text(json.dumps(texts), encoding="utf-8")

    return stages.run(
        "reference",
        f"measure transformers on {recipe.measure.dataset}",
        work,
        code=(perplexity, datasets, gguf_file, gguf_tokenizer),
        depends_on={"source": source.sha256, "measure": recipe.measure.model_dump()},
    )


def survey_sensitivity(
    recipe: DecoderRecipe, source: ModelSource, directory: Path, stages: Stages
) -> Stage | None:
    if not any(dtype.method == "gptq" for dtype in recipe.dtypes.values()):
        return None
    return stages.run(
        "survey",
        "survey how much each weight matters",
        lambda output: weights.survey(directory, output / SURVEY),
        code=weights.CODE,
        depends_on={"source": source.sha256},
    )


def reduce_weights(
    name: str,
    dtype: WeightsDtype,
    source: ModelSource,
    graph: Stage,
    directory: Path,
    surveyed: Stage | None,
    stages: Stages,
) -> Stage:
    def work(output: Path) -> None:
        model = storage.load(graph.output)
        survey = None if surveyed is None else surveyed.output / SURVEY
        try:
            tensors = weights.reduce_weights(
                dtype, layouts.weights_of(model), source, directory, survey
            )
        except ValueError as error:
            raise RecipeError(f"dtypes.{name}: {error}") from error
        (output / "planes.bin").write_bytes(planes.write_planes(tensors))

    return stages.run(
        "weights",
        f"{name}: {weights.describe(dtype)}",
        work,
        code=(weights, *weights.CODE, planes, blocks, gguf_file),
        depends_on={"graph": graph.key, "dtype": dtype.model_dump(exclude={"max_kl"})},
    )


def measure_dtype(
    recipe: DecoderRecipe,
    name: str,
    graph: Stage,
    weighed: Stage,
    referenced: Callable[[], Stage],
    source: ModelSource,
    directory: Path,
    stages: Stages,
) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        expected = referenced().output
        tensors = planes.read_planes((weighed.output / "planes.bin").read_bytes())
        texts = json.loads((expected / "texts.json").read_text(encoding="utf-8"))
        tokenizer = native_host.NativeTokenizer(directory / "tokenizer.json")
        prompts = [tokenizer.encode(text) for text in recipe.canary.inputs]
        measured: dict[str, Any] = {}
        for layout, steps, share in (
            ("float32", None, len(texts)),
            ("int8", int8.STEPS, max(1, len(texts) // INT8_SHARE)),
        ):
            laid = layouts.lay_out(storage.load(graph.output), tensors, layout)
            laid.graph.output.append(onnx.helper.make_tensor_value_info("logits", 1, None))
            session = native_host.NativeDecoder(
                laid.SerializeToString(), layouts.expand(tensors, layout), {}, steps
            )
            reference = (np.load(expected / f"{i}.npy") for i in range(share))
            logits = partial(_logits, session)
            measured[layout] = asdict(perplexity.compare(reference, logits, texts[:share]))
            measured[layout]["canary"] = [
                asyncio.run(_greedy(session, ids, recipe.canary.tokens)) for ids in prompts
            ]
        return measured

    return stages.measure(
        f"{name}: load, run, and measure on {recipe.measure.dataset}",
        work,
        model_id=recipe.id,
        dtype=name,
        of={"graph": graph, "weights": weighed},
        code=(native_host, perplexity, *layouts.CODE, planes, blocks, datasets, gguf_tokenizer),
        depends_on={
            "source": source.sha256,
            "measure": recipe.measure.model_dump(),
            "canary": recipe.canary.model_dump(),
        },
    )


def _logits(session: native_host.NativeDecoder, ids: list[int]) -> perplexity.Floats:
    session.truncate(0)
    answer: perplexity.Floats = session.run(ids, len(ids), ["logits"])["logits"][0]
    return answer


async def _greedy(session: native_host.NativeDecoder, ids: list[int], count: int) -> list[float]:
    session.truncate(0)
    golden: list[float] = []
    for _ in range(count):
        candidates = await session.feed(ids, 1)
        ids = candidates[-1].ids
        golden.append(float(ids[0]))
    return golden


def cut_graphs(directory: Path, source: ModelSource, shape: Shape, stages: Stages) -> Stage:
    """The model's graph with its first layers alone, in a folder for each count."""

    def work(output: Path) -> None:
        for count in surrogate.layer_counts(shape.layers):
            folder = output / str(count)
            folder.mkdir()
            storage.save(decoder.build_decoder(directory, count, shape.context), folder)

    return stages.run(
        "cut",
        "cut the graph to its first layers",
        work,
        code=(decoder, storage, surrogate),
        depends_on={"source": source.sha256, "context": shape.context},
    )


def pack_dtype(
    model_id: str, name: str, graph: Stage, cut: Stage, weighed: Stage, stages: Stages
) -> Stage:
    def work(output: Path) -> None:
        content = (weighed.output / "planes.bin").read_bytes()
        tensors = planes.read_planes(content)
        files = pack.pack(content, "weights", name, model_id, output)
        by_layout = {}
        cuts: dict[str, list[Surrogate]] = {layout: [] for layout in layouts.LAYOUTS}
        for layout in layouts.LAYOUTS:
            laid = layouts.lay_out(storage.load(graph.output), tensors, layout)
            graph_file = laid.SerializeToString(deterministic=True)
            packed = pack.pack(graph_file, "graph", None, model_id, output)
            files += packed
            by_layout[layout] = [file.path for file in packed]
            for folder in sorted(cut.output.glob("[0-9]*")):
                small = storage.load(folder)
                few = {n: tensors[n] for n in layouts.weights_of(small) if n in tensors}
                laid = layouts.lay_out(small, few, layout)
                told, noted = surrogates.pack_surrogate(laid, int(folder.name), model_id, output)
                files.append(told)
                cuts[layout].append(noted)
        pack.write_list(files, output)
        (output / "layouts.json").write_text(json.dumps(by_layout), encoding="utf-8")
        surrogates.write_note(output, cuts)

    return stages.run(
        "pack",
        f"{name}: compress and hash",
        work,
        code=(pack, *layouts.CODE, planes, blocks, surrogate, surrogates),
        depends_on={
            "weights": weighed.key,
            "graph": graph.key,
            "cut": cut.key,
            "id": model_id,
            "dtype": name,
        },
    )
