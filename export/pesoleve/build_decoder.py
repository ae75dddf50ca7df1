"""A decoder's recipe to its catalog entry: import, graph, reference, and each dtype's weights."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache, partial
from typing import Any

from pesoleve_worker.catalog import (
    Canary,
    Device,
    Layout,
    Model,
    Sizes,
    Surrogate,
)
from pesoleve_worker.sizing import shape_from_config

from . import decoder_entry, decoder_stages, habits, pack, surrogates
from .decoder_stages import read_json
from .entry import Built, gather, identity, wire_bytes
from .errors import QualityError, SourceError
from .graph import decoder, storage
from .recipe import DecoderRecipe
from .recipe_base import GgufSource
from .sizes import decoder_sizes
from .sources import gguf_tokenizer, resolve
from .stages import Stages

LAYOUTS: dict[str, Layout] = {"wasm": "float32", "wasm_small": "int8", "webgpu": "blocks"}
"""What each device's weights expand to."""

GUESSING = ("wasm",)
"""The devices that take several tokens at once for little more than one, and are given habits."""

CANARY_TOLERANCE = 1e-3
"""The share of golden tokens that may differ: none."""


def stage_count(recipe: DecoderRecipe) -> int:
    """How many stages ``build_decoder`` reports."""
    imports = isinstance(recipe.source, GgufSource)
    surveys = any(dtype.method == "gptq" for dtype in recipe.dtypes.values())
    return 5 + imports + surveys + (recipe.habits is not None) + 3 * len(recipe.dtypes)


def build_decoder(recipe: DecoderRecipe, stages: Stages, train: bool = False) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Args:
        train: count the model's habits again, where they are kept.

    Raises:
        SourceError, RecipeError, QualityError: and nothing is published.
    """
    source = resolve(recipe.source)
    directory = decoder_stages.import_source(source, stages)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") not in decoder.FAMILIES:
        raise SourceError(
            f"{source.locator} is a {config.get('model_type')!r}; decoders that can be exported are: "
            f"{', '.join(decoder.FAMILIES)}"
        )
    if config.get("rope_scaling"):  # onnxruntime-genai's builder takes the wrong original context
        raise SourceError(f"{source.locator} scales its rotary embedding; that is not supported")
    pipeline = decoder_entry.text_generation(recipe, directory, config)
    context = pipeline.context
    shape = shape_from_config(config)
    given = replace(shape, context=context)
    graph = stages.run(
        "decoder",
        "build the decoder's graph",
        lambda output: storage.save(decoder.build_decoder(directory, context=context), output),
        code=(decoder, storage),
        depends_on={"source": source.sha256, "context": context},
    )
    cut = decoder_stages.cut_graphs(directory, source, given, stages)
    referenced = cache(lambda: decoder_stages.measure_reference(recipe, source, directory, stages))
    tokenizer = stages.run(
        "tokenizer",
        "pack the tokenizer",
        partial(pack.pack_tokenizer, read_json(directory / "tokenizer.json"), recipe.id),
        code=(pack, gguf_tokenizer),
        depends_on={"source": source.sha256, "id": recipe.id},
    )
    files = pack.read_list(tokenizer.output)
    packs = [tokenizer]
    shared_paths = {device: [file.path for file in files] for device in LAYOUTS}
    learnt = habits.learn_habits(recipe, source, directory, pipeline, stages, train)
    if learnt is not None:
        packs.append(learnt)
        for file in pack.read_list(learnt.output):
            files.append(file)
            for device in GUESSING:
                shared_paths[device].append(file.path)
    surveyed = decoder_stages.survey_sensitivity(recipe, source, directory, stages)
    paths: dict[str, dict[str, list[str]]] = {device: {} for device in LAYOUTS}
    sizes: dict[str, dict[str, Sizes]] = {device: {} for device in LAYOUTS}
    cuts: dict[str, dict[str, list[Surrogate]]] = {device: {} for device in LAYOUTS}
    measured: dict[str, dict[str, Any]] = {}
    for name, dtype in recipe.dtypes.items():
        weighed = decoder_stages.reduce_weights(name, dtype, source, graph, directory, surveyed, stages)
        by_layout = decoder_stages.measure_dtype(
            recipe, name, graph, weighed, referenced, source, directory, stages
        )
        measured[name] = by_layout["float32"]
        measured[f"{name}_int8"] = by_layout["int8"]
        if not measured[name]["kl"] <= dtype.max_kl:
            raise QualityError(
                f"{recipe.id} in {name} is {measured[name]['kl']:.4f} nats from its source, and "
                f"dtypes.{name}.max_kl allows {dtype.max_kl:.4f}. Use more bits or smaller blocks."
            )
        packed = decoder_stages.pack_dtype(recipe.id, name, graph, cut, weighed, stages)
        packs.append(packed)
        made = pack.read_list(packed.output)
        graphs = read_json(packed.output / "layouts.json")
        noted = surrogates.read_note(packed.output)
        # Layouts and dtypes share the graphs that come out alike.
        files = list({file.path: file for file in (*files, *made)}.values())
        for device, layout in LAYOUTS.items():
            own = [file.path for file in made if file.role == "weights"]
            paths[device][name] = [*graphs[layout], *own, *shared_paths[device]]
            of = [file for file in files if file.path in paths[device][name]]
            planes = weighed.output / "planes.bin"
            sizes[device][name] = decoder_sizes(planes, given, layout, of)
            cuts[device][name] = noted[layout]
    gathered = gather(packs, stages)
    parameters = decoder_entry.count_parameters(storage.load(graph.output))
    model = Model(
        **identity(recipe, source, parameters),
        lineage=decoder_entry.lineage(
            recipe, source, measured, {n: wire_bytes(files, n) for n in recipe.dtypes}
        ),
        quality=decoder_entry.quality(recipe, measured),
        shape=shape,
        pipeline=pipeline,
        default_dtype=recipe.default_dtype,
        files=files,
        devices={
            device: Device(layout, {}, paths[device], sizes[device], cuts[device])
            for device, layout in LAYOUTS.items()
        },
        canary=Canary(
            recipe.canary.inputs,
            {name: result["canary"] for name, result in measured.items()},
            CANARY_TOLERANCE,
        ),
    )
    return Built(model, gathered.output)
