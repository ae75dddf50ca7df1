"""A decoder's recipe to its catalog entry: import, graph, reference, and each dtype's weights."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tokenizers import Tokenizer

from pesoleve_worker.catalog import (
    Canary,
    Device,
    License,
    LineageStep,
    Model,
    Parameters,
    Quality,
    Source,
    TextGeneration,
)
from pesoleve_worker.sizing import shape_from_config, weight_class

from . import blocks, native_host, pack, planes, weights
from .chat import chat_prompt
from .entry import Built, wire_bytes
from .errors import QualityError, RecipeError, SourceError
from .graph import decoder, exact_gguf, layouts, storage
from .measure import datasets, perplexity
from .recipe import DecoderRecipe, GgufSource, WeightsDtype
from .sources import ModelSource, gguf_file, gguf_tokenizer, resolve
from .stages import Stage, Stages

LAYOUTS = {"wasm": "float32", "wasm_small": "int8", "webgpu": "blocks"}
"""What each device's weights expand to."""

SURVEY = "survey.npz"
INT8_SHARE = 4
"""The int8 layout, which runs in small steps, is measured on one window in so many."""

CANARY_TOLERANCE = 1e-3
"""The share of golden tokens that may differ: none."""


def stage_count(recipe: DecoderRecipe) -> int:
    """How many stages ``build_decoder`` reports."""
    imports = isinstance(recipe.source, GgufSource)
    surveys = any(dtype.method == "gptq" for dtype in recipe.dtypes.values())
    return 4 + imports + surveys + 3 * len(recipe.dtypes)


def build_decoder(recipe: DecoderRecipe, stages: Stages) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Raises:
        SourceError, RecipeError, QualityError: and nothing is published.
    """
    source = resolve(recipe.source)
    directory = _import(source, stages)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") not in decoder.FAMILIES:
        raise SourceError(
            f"{source.locator} is a {config.get('model_type')!r}; decoders that can be exported are: "
            f"{', '.join(decoder.FAMILIES)}"
        )
    if config.get("rope_scaling"):  # onnxruntime-genai's builder takes the wrong original context
        raise SourceError(f"{source.locator} scales its rotary embedding; that is not supported")
    shape = shape_from_config(config)
    pipeline = _pipeline(recipe, directory, config)
    graph = stages.run(
        "decoder",
        "build the decoder's graph",
        lambda output: storage.save(decoder.build_decoder(directory), output),
        code=(decoder, storage),
        depends_on={"source": source.sha256},
    )
    referenced = _reference(recipe, source, directory, stages)
    tokenizer = stages.run(
        "tokenizer",
        "pack the tokenizer",
        partial(pack.pack_tokenizer, _read_json(directory / "tokenizer.json"), recipe.id),
        code=(pack, gguf_tokenizer),
        depends_on={"source": source.sha256, "id": recipe.id},
    )
    files = pack.read_list(tokenizer.output)
    packs = [tokenizer]
    surveyed = _survey(recipe, source, directory, stages)
    paths: dict[str, dict[str, list[str]]] = {device: {} for device in LAYOUTS}
    measured: dict[str, dict[str, Any]] = {}
    for name, dtype in recipe.dtypes.items():
        weighed = _weights(name, dtype, source, graph, directory, surveyed, stages)
        by_layout = _measure(recipe, name, graph, weighed, referenced, directory, pipeline, stages)
        measured[name] = by_layout["float32"]
        measured[f"{name}_int8"] = by_layout["int8"]
        if not measured[name]["kl"] <= dtype.max_kl:
            raise QualityError(
                f"{recipe.id} in {name} is {measured[name]['kl']:.4f} nats from its source, and "
                f"dtypes.{name}.max_kl allows {dtype.max_kl:.4f}. Use more bits or smaller blocks."
            )
        packed = _pack(recipe.id, name, graph, weighed, stages)
        packs.append(packed)
        made = pack.read_list(packed.output)
        graphs = _read_json(packed.output / "layouts.json")
        files += [file for file in made if file.path not in {known.path for known in files}]
        for device, layout in LAYOUTS.items():
            own = [file.path for file in made if file.role == "weights"]
            paths[device][name] = [graphs[layout], *own, files[0].path]
    gathered = stages.run(
        "gather",
        "gather the packed files",
        partial(pack.gather, [stage.output for stage in packs]),
        code=(pack,),
        depends_on={"packs": [stage.key for stage in packs]},
    )
    parameters = _count(storage.load(graph.output))
    model = Model(
        id=recipe.id,
        title=recipe.title.model_dump(by_alias=True),
        summary=recipe.summary.model_dump(by_alias=True),
        task=recipe.task,
        weight_class=weight_class(parameters.total),  # type: ignore[arg-type]  # one of the literals
        parameters=parameters,
        license=License(**recipe.license.model_dump()),
        source=Source(source.kind, source.locator, source.revision, source.sha256),
        lineage=_lineage(recipe, source, measured, {n: wire_bytes(files, n) for n in recipe.dtypes}),
        quality=_quality(recipe, measured),
        shape=shape,
        pipeline=pipeline,
        default_dtype=recipe.default_dtype,
        files=files,
        devices={device: Device(layout, {}, paths[device]) for device, layout in LAYOUTS.items()},  # type: ignore[arg-type]
        canary=Canary(
            recipe.canary.inputs,
            {name: result["canary"] for name, result in measured.items()},
            CANARY_TOLERANCE,
        ),
    )
    return Built(model, gathered.output)


def _read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _import(source: ModelSource, stages: Stages) -> Path:
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


def _pipeline(recipe: DecoderRecipe, directory: Path, config: dict[str, Any]) -> TextGeneration:
    settings = _read_json(directory / "tokenizer_config.json")
    template = settings.get("chat_template")
    jinja = directory / "chat_template.jinja"
    if jinja.exists():
        template = jinja.read_text(encoding="utf-8")
    if not template:
        raise SourceError(f"{recipe.id} has no chat template; is it a base model?")
    eos = config.get("eos_token_id")
    context = min(recipe.export.max_length, int(config["max_position_embeddings"]))
    return TextGeneration(
        context=context,
        chat_template=template,
        bos_token=_token(settings.get("bos_token")),
        eos_token=_token(settings.get("eos_token")),
        eos_token_ids=list(eos) if isinstance(eos, list) else [int(eos or 0)],
    )


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _reference(recipe: DecoderRecipe, source: ModelSource, directory: Path, stages: Stages) -> Stage:
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


def _survey(
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


def _weights(
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


def _measure(
    recipe: DecoderRecipe,
    name: str,
    graph: Stage,
    weighed: Stage,
    referenced: Stage,
    directory: Path,
    pipeline: TextGeneration,
    stages: Stages,
) -> dict[str, Any]:
    def work(output: Path) -> None:
        tensors = planes.read_planes((weighed.output / "planes.bin").read_bytes())
        texts = json.loads((referenced.output / "texts.json").read_text(encoding="utf-8"))
        tokenizer = native_host.NativeTokenizer(directory / "tokenizer.json")
        prompts = [
            tokenizer.encode(chat_prompt([{"role": "user", "content": text}], pipeline))
            for text in recipe.canary.inputs
        ]
        measured = {}
        for layout, steps, share in (
            ("float32", None, len(texts)),
            ("int8", layouts.INT8_STEPS, max(1, len(texts) // INT8_SHARE)),
        ):
            laid = layouts.lay_out(storage.load(graph.output), tensors, layout)
            laid.graph.output.append(onnx.helper.make_tensor_value_info("logits", 1, None))
            session = native_host.NativeDecoder(
                laid.SerializeToString(), layouts.expand(tensors, layout), {}, steps
            )
            reference = (np.load(referenced.output / f"{i}.npy") for i in range(share))
            logits = partial(_logits, session)
            measured[layout] = asdict(perplexity.compare(reference, logits, texts[:share]))
            measured[layout]["canary"] = [
                asyncio.run(_greedy(session, ids, recipe.canary.tokens)) for ids in prompts
            ]
        (output / "measured.json").write_text(json.dumps(measured), encoding="utf-8")

    stage = stages.run(
        "measure",
        f"{name}: load, run, and measure on {recipe.measure.dataset}",
        work,
        code=(native_host, perplexity, layouts, planes, blocks),
        depends_on={
            "weights": weighed.key,
            "reference": referenced.key,
            "pipeline": asdict(pipeline),
            "canary": recipe.canary.model_dump(),
        },
    )
    return _read_json(stage.output / "measured.json")


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


def _pack(model_id: str, name: str, graph: Stage, weighed: Stage, stages: Stages) -> Stage:
    def work(output: Path) -> None:
        content = (weighed.output / "planes.bin").read_bytes()
        tensors = planes.read_planes(content)
        files = [pack.pack(content, "weights", name, model_id, output)]
        by_layout = {}
        for layout in layouts.LAYOUTS:
            laid = layouts.lay_out(storage.load(graph.output), tensors, layout)
            graph_file = laid.SerializeToString(deterministic=True)
            packed = pack.pack(graph_file, "graph", None, model_id, output)
            files.append(packed)
            by_layout[layout] = packed.path
        pack.write_list(files, output)
        (output / "layouts.json").write_text(json.dumps(by_layout), encoding="utf-8")

    return stages.run(
        "pack",
        f"{name}: compress and hash",
        work,
        code=(pack, layouts, planes, blocks),
        depends_on={"weights": weighed.key, "graph": graph.key, "id": model_id, "dtype": name},
    )


def _count(model: onnx.ModelProto) -> Parameters:
    sizes = {name: int(array.size) for name, array in layouts.weights_of(model).items()}
    total = sum(sizes.values())
    return Parameters(total=total, stored=total, embedding=sizes[decoder.TABLE])


def _quality(recipe: DecoderRecipe, measured: dict[str, dict[str, Any]]) -> list[Quality]:
    rows = []
    for name, result in measured.items():
        figures = (
            ("kl", result["kl"], 0.0),
            ("perplexity", result["perplexity"], result["reference_perplexity"]),
            ("top1_agreement", result["top1_agreement"], 1.0),
        )
        rows += [
            Quality(name, metric, recipe.measure.dataset, result["n"], round(value, 8), round(of, 8))
            for metric, value, of in figures
        ]
    return rows


def _lineage(
    recipe: DecoderRecipe,
    source: ModelSource,
    measured: dict[str, dict[str, Any]],
    wire: dict[str, int],
) -> list[LineageStep]:
    """From the source's own file to each dtype; quality is mean KL in nats."""
    folder = source.directory
    before = (
        folder.stat().st_size
        if folder.is_file()
        else sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    )
    return [
        LineageStep(
            technique="exact_import" if dtype.method == "exact_gguf" else "quantization",
            dtype=name,
            detail=weights.describe(dtype),
            quality_before=0.0,
            quality_after=round(measured[name]["kl"], 8),
            bytes_before=before,
            bytes_after=wire[name],
        )
        for name, dtype in recipe.dtypes.items()
    ]
