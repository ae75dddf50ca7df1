"""A classifier's recipe to its catalog entry: reduced, written as a graph, and each dtype quantized and
measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from pesoleve_worker import canary as canary_module
from pesoleve_worker.catalog import (
    Canary,
    Model,
    Surrogate,
    TextClassification,
)  # fmt: skip
from pesoleve_worker.pipelines import encoder as pipeline_module

from . import adapted, encoder_files, native_host, pack, surrogates
from .classifier_entry import (
    MeasuredDtype,
    MeasuredSet,
    check_quality,
    count_parameters,
    lineage,
    quality,
    sizing_shape,
)  # fmt: skip
from .encoder_shape import EncoderShape
from .entry import Built, gather, identity
from .graph import classify, halve, integers, quantize, storage
from .graph import encoder as encoder_graph
from .lab_recipe import ClassifierDtype, ClassifierRecipe
from .measure import classification, embed, snippets
from .reduce import chain
from .sources import resolve
from .stages import Stage, Stages

MEASURING = (native_host, pipeline_module, canary_module, embed, classification, snippets)
CALIBRATION = 256
"""Texts on which static scales are measured."""
SAMPLE = 4
"""Every fourth text's accuracy is kept beside all texts', for a test to get it again."""
OTHER_DOMAIN = {"movies": "products-test"}
"""Which data set, of the same labels, tells how a model does where it was not trained."""


def stage_count(recipe: ClassifierRecipe) -> int:
    """How many stages ``build_classifier`` reports, those of its ancestors aside."""
    return 4 + 3 * len(recipe.dtypes)


def build_classifier(recipe: ClassifierRecipe, reducing: chain.Chain) -> Built:
    """Build everything ``recipe`` asks for; stages that are done already are not done again.

    Raises:
        SourceError, QualityError: and nothing is published.
    """
    stages = reducing.stages
    source = resolve(recipe.source)
    reduced = reducing.reduce(recipe)
    shape = EncoderShape.from_json(_read(reduced.output / chain.SHAPE))
    pipeline = TextClassification(list(shape.labels), recipe.export.max_length, classify.OUTPUT)

    def write_graph(output: Path) -> None:
        state = load_file(reduced.output / chain.MODEL)
        storage.save(encoder_graph.encoder_graph(shape, state), output)

    exported = stages.run(
        "export",
        f"{recipe.id}: write the graph",
        write_graph,
        code=(encoder_graph, classify, storage),
        depends_on={"reduced": reduced.key},
    )
    base = None if recipe.shared_base is None else reducing.build_base(recipe.shared_base)
    tokenizer = stages.run(
        "tokenizer",
        f"{recipe.id}: pack the tokenizer",
        partial(pack.pack_tokenizer, _read(reduced.output / chain.TOKENIZER), recipe.id),
        code=(pack,),
        depends_on={"reduced": reduced.key, "id": recipe.id},
    )
    layers = len(shape.layers)
    files = pack.read_list(tokenizer.output)
    packs, measured = [tokenizer], {}
    cuts: dict[str, list[Surrogate]] = {}
    for name, dtype in recipe.dtypes.items():
        if base is None:
            written = _quantize(recipe, name, dtype, exported, reduced, stages)
            packed = encoder_files.pack_dtype(
                recipe.id, name, written, layers, stages, f"{recipe.id}: {name}: compress and hash"
            )
            cuts[name] = surrogates.read_note(packed.output)["file"]
        else:
            label = f"{recipe.id}: {name}: put the adapter beside {base.model.id}"
            written = adapted.adapt(base, name, reduced, stages, label)
            packed = adapted.pack_adapted(base, recipe.id, name, written, stages)
            cuts[name] = []
        measured[name] = _measure(recipe, name, written, reduced, tokenizer, pipeline, stages)
        packs.append(packed)
        files += pack.read_list(packed.output)
    steps = chain.read_lineage(reduced.output)
    check_quality(recipe, steps[-1].quality_after, measured)
    gathered = gather(packs, stages, f"{recipe.id}: gather the packed files")
    counts = count_parameters(shape, load_file(reduced.output / chain.MODEL))
    device = encoder_files.device(
        recipe.dtypes, files, storage.load(exported.output), sizing_shape(shape), cuts
    )
    model = Model(
        **identity(recipe, source, counts),
        lineage=lineage(recipe, steps, measured, files),
        quality=quality(steps[-1].quality_after, measured),
        shape=sizing_shape(shape),
        pipeline=pipeline,
        default_dtype=recipe.default_dtype,
        files=files,
        devices=dict.fromkeys(("wasm", "webgpu"), device),
        canary=Canary(
            recipe.canary.inputs,
            {name: result.canary for name, result in measured.items()},
            recipe.canary.tolerance,
        ),
    )
    return Built(model, gathered.output)


def _read(path: Path) -> dict[str, object]:
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def _quantize(
    recipe: ClassifierRecipe,
    name: str,
    dtype: ClassifierDtype,
    exported: Stage,
    reduced: Stage,
    stages: Stages,
) -> Stage:
    def work(output: Path) -> None:
        model = storage.load(exported.output)
        if dtype.compute != "float":
            model = integers.to_integers(model)
            if dtype.compute == "static":
                model = integers.make_static(model, _calibration(recipe, reduced))
        elif dtype.bits == 16:
            model = halve.halve_weights(model)
        elif dtype.bits != 32:
            # What is in no block then is the table of positions.
            model = halve.halve_weights(encoder_files.quantize_blocks(model, name, dtype))
        storage.save(model, output)

    return stages.run(
        "quantize",
        f"{recipe.id}: {name}: write the weights in {dtype.bits} bits",
        work,
        code=(quantize, halve, integers, snippets, storage),
        depends_on={
            "exported": exported.key,
            "dtype": dtype.model_dump(exclude={"max_loss"}),
            "calibration": (recipe.dataset, CALIBRATION) if dtype.compute == "static" else None,
        },
    )


def _calibration(recipe: ClassifierRecipe, reduced: Stage) -> Iterator[integers.Feeds]:
    """Yield texts that the model was trained on, one at a time: padding would narrow no range."""
    known = snippets.load_labelled(f"{recipe.dataset}-train").texts[:CALIBRATION]
    texts = chain.read_candidate(reduced.output).tokenized(known)
    for index in range(len(known)):
        ids, mask = texts.batch([index])
        yield {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}


def _measure(
    recipe: ClassifierRecipe,
    name: str,
    quantized: Stage,
    reduced: Stage,
    tokenizer: Stage,
    pipeline: TextClassification,
    stages: Stages,
) -> MeasuredDtype:
    wanted = [f"{recipe.dataset}-test"]
    if name == recipe.default_dtype and recipe.dataset in OTHER_DOMAIN:
        wanted.append(OTHER_DOMAIN[recipe.dataset])

    def work() -> dict[str, Any]:
        sets = [snippets.load_labelled(dataset) for dataset in wanted]
        texts = [text for data in sets for text in data.texts]
        rows = embed.embed(
            [*texts, *recipe.canary.inputs],
            quantized.output,
            quantize.SESSION_CONFIG,
            reduced.output / chain.TOKENIZER,
            pipeline,
        )
        figures, at = [], 0
        for data in sets:
            own = rows[at : at + len(data.texts)]
            at += len(data.texts)
            figures.append(
                {
                    "dataset": data.name,
                    "n": len(data.texts),
                    "accuracy": classification.accuracy(own, data.targets),
                    "interval": classification.interval(own, data.targets),
                    "sample": classification.accuracy(own[::SAMPLE], data.targets[::SAMPLE]),
                }
            )
        canary = [[round(float(value), 6) for value in row] for row in rows[at:]]
        return {"sets": figures, "canary": canary}

    told = stages.measure(
        f"{recipe.id}: {name}: load, run, and measure on {', '.join(wanted)}",
        work,
        model_id=recipe.id,
        dtype=name,
        of={"quantized": quantized, "tokenizer": tokenizer},
        code=MEASURING,
        depends_on={"datasets": wanted, "pipeline": asdict(pipeline), "canary": recipe.canary.inputs},
    )
    sets = [
        MeasuredSet(row["dataset"], row["n"], row["accuracy"], tuple(row["interval"]))
        for row in told["sets"]
    ]
    return MeasuredDtype(sets, told["canary"])
