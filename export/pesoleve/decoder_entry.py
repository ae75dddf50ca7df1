"""What a decoder's catalog entry says of it: its pipeline, its parameters, what each dtype cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from pesoleve_worker.catalog import LineageStep, Parameters, Quality, TextGeneration

from . import weights
from .decoder_stages import read_json
from .errors import SourceError
from .graph import decoder, layouts
from .recipe import DecoderRecipe
from .sources import ModelSource


def text_generation(recipe: DecoderRecipe, directory: Path, config: dict[str, Any]) -> TextGeneration:
    settings = read_json(directory / "tokenizer_config.json")
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


def count_parameters(model: onnx.ModelProto) -> Parameters:
    sizes = {name: int(array.size) for name, array in layouts.weights_of(model).items()}
    total = sum(sizes.values())
    return Parameters(total=total, stored=total, embedding=sizes[decoder.TABLE])


def quality(recipe: DecoderRecipe, measured: dict[str, dict[str, Any]]) -> list[Quality]:
    rows = []
    for name, result in measured.items():
        figures = (
            ("kl", result["kl"], 0.0),
            ("perplexity", result["perplexity"], result["reference_perplexity"]),
            ("top1_agreement", result["top1_agreement"], 1.0),
        )
        rows += [
            Quality(
                name, metric, recipe.measure.dataset, result["n"], round(value, 8), round(of, 8), None
            )
            for metric, value, of in figures
        ]
    return rows


def lineage(
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
