from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pesoleve import cli, weights
from pesoleve.blocks import BlockTensor
from pesoleve.build import stage_count
from pesoleve.catalog import CATALOG, publish, read, validate
from pesoleve.check import check
from pesoleve.entry import wire_bytes
from pesoleve.errors import CheckError, QualityError, RecipeError, SourceError
from pesoleve.graph.decoder import TABLE
from pesoleve.habits import count_habits, to_bytes
from pesoleve.measure.perplexity import reference_logits
from pesoleve.native_host import NativeTokenizer
from pesoleve.pack import unpack
from pesoleve.planes import Tensors
from pesoleve.self_talk import talk
from pesoleve.sources.gguf_file import GgufFile
from pesoleve_worker.canary import decoder_canary_difference
from pesoleve_worker.catalog import SCHEMA_VERSION, Catalog, Shape, TextGeneration, to_dict
from tests.export.decoder_workshop import (
    DIRECTORY,
    GGUF,
    ONLY_FP32,
    DecoderWorkshop,
    contents,
    opened,
    planes_of,
)
from tests.export.workshop import Work
from tests.tiny_decoder_recipe import write_decoder_recipe
from tests.tiny_gguf import every, write_gguf
from tests.tiny_llama import (
    CHAT_TEMPLATE,
    CONTEXT,
    HEADS,
    HIDDEN,
    IM_END,
    INTERMEDIATE,
    KV_HEADS,
    LAYERS,
    VOCABULARY,
    write_tiny_llama,
)

DTYPES = ["q4_1", "fp32"]
LAYOUTS = {"wasm": "float32", "wasm_small": "int8", "webgpu": "blocks"}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> DecoderWorkshop:
    return DecoderWorkshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def built(workshop: DecoderWorkshop, tiny_gguf: Path) -> Work:
    return workshop.build(tiny_gguf)


def rows(work: Work) -> dict[tuple[str, str], Any]:
    return {(row.dtype, row.metric): row for row in work.built.model.quality}


def test_the_entry_is_valid_and_tells_the_models_shape(built: Work, tiny_gguf: Path) -> None:
    model = built.built.model
    catalog = Catalog(SCHEMA_VERSION, [model])
    assert validate(json.loads(json.dumps(to_dict(catalog))), "built") == catalog
    assert model.shape == Shape(
        "llama", LAYERS, HIDDEN, HEADS, KV_HEADS, HIDDEN // HEADS, INTERMEDIATE, VOCABULARY, CONTEXT
    )
    assert (model.source.kind, model.source.locator) == ("gguf", tiny_gguf.name)
    assert model.weight_class == "straw"
    assert model.default_dtype == "q4_1"
    assert model.parameters.embedding == VOCABULARY * HIDDEN
    assert str(tiny_gguf.parent) not in json.dumps(to_dict(model))


def test_the_pipeline_is_what_a_chat_needs(built: Work) -> None:
    assert built.built.model.pipeline == TextGeneration(
        128, CHAT_TEMPLATE, "<|im_start|>", "<|im_end|>", [IM_END]
    )


def test_every_device_opens_every_dtype_in_its_layout(built: Work) -> None:
    model = built.built.model
    assert {name: device.layout for name, device in model.devices.items()} == LAYOUTS
    for device in LAYOUTS:
        assert list(model.devices[device].files) == DTYPES
        for dtype in DTYPES:
            guessing = {"ngrams"} if device == "wasm" else set()
            assert set(model.files_for(device, dtype)) == {"graph", "weights", "tokenizer"} | guessing
    for dtype in DTYPES:
        weights = {
            file.path for device in LAYOUTS for file in model.files_for(device, dtype)["weights"]
        }
        assert len(weights) == 1  # which travel once


def test_every_file_is_there_and_is_what_the_entry_says(built: Work) -> None:
    model, packed = built.built.model, built.built.packed
    names = [Path(file.path).name for file in model.files]
    assert len(set(names)) == len(names)
    assert set(names) == {path.name for path in packed.iterdir()}
    for file in model.files:
        assert unpack((packed / Path(file.path).name).read_bytes(), file)


def test_no_loss_is_measured_where_there_is_none(built: Work) -> None:
    figures = rows(built)
    for dtype in DTYPES:
        assert figures[dtype, "kl"].n == 128
        assert figures[dtype, "kl"].value < 1e-8
        assert figures[dtype, "top1_agreement"].value == 1.0
        perplexity = figures[dtype, "perplexity"]
        assert perplexity.value == pytest.approx(perplexity.reference_value, rel=1e-5)
        assert perplexity.value > 10
    assert {step.technique for step in built.built.model.lineage} == {"exact_import", "quantization"}


def test_the_ggufs_integers_travel_as_they_are(built: Work, tiny_gguf: Path) -> None:
    planes = planes_of(built.built, "q4_1")
    file = GgufFile(tiny_gguf)
    kept = [name for name, tensor in planes.items() if isinstance(tensor, BlockTensor)]
    parts = [name for kept_name in kept for name in weights.source_names(kept_name)]
    assert set(parts) == {name for name in file.tensors if "norm" not in name}
    for name in kept:
        tensor = planes[name]
        assert isinstance(tensor, BlockTensor)
        expected = np.concatenate([file.tensors[part].values() for part in weights.source_names(name)])
        np.testing.assert_array_equal(tensor.dequantize(), expected)
    table = planes[TABLE]
    assert isinstance(table, BlockTensor)
    assert (table.bits, table.zero) == (8, 128)
    assert wire_bytes(built.built.model.files, "q4_1") < wire_bytes(built.built.model.files, "fp32") / 2


@pytest.mark.parametrize("device", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_packed_files_answer_the_canary(
    built: Work, tmp_path: Path, device: str, dtype: str
) -> None:
    model = built.built.model
    assert [len(row) for row in model.canary.outputs[dtype]] == [4, 4]
    files = contents(built.built, device, dtype)
    (tmp_path / "tokenizer.json").write_bytes(files["tokenizer"])
    decoder, tokenizer = opened(model, device, files), NativeTokenizer(tmp_path / "tokenizer.json")
    key = model.quality_key(device, dtype)
    difference = asyncio.run(decoder_canary_difference(model, key, decoder, tokenizer))
    assert difference == 0


def test_the_canary_is_what_transformers_answers(built: Work, workshop: DecoderWorkshop) -> None:
    model = built.built.model
    assert isinstance(model.pipeline, TextGeneration)
    (imported,) = workshop.cache.glob("import-*")
    logits = reference_logits(imported)
    tokenizer = NativeTokenizer(imported / "tokenizer.json")
    for text, golden in zip(model.canary.inputs, model.canary.outputs["q4_1"], strict=True):
        ids = tokenizer.encode(text)
        for expected in golden:
            ids.append(int(logits(ids)[-1].argmax()))
            assert ids[-1] == expected


def test_the_models_habits_are_of_answers_that_it_gives(
    built: Work, workshop: DecoderWorkshop, tiny_gguf: Path
) -> None:
    model, asked = built.built.model, workshop.recipe(tiny_gguf).habits
    assert isinstance(model.pipeline, TextGeneration) and asked is not None
    directory = next(workshop.cache.glob("import-*"))
    told: list[str] = []
    talked = talk(directory, model.pipeline, asked.conversations, asked.tokens, asked.seed, told.append)
    assert len(talked) == asked.conversations
    assert told[-1].startswith("0 of 3 conversations, token ")
    files = contents(built.built, "wasm", "q4_1")
    assert files["ngrams"] == to_bytes(count_habits(talked, asked.least_share)) != b""
    for prompt, answer in ((ids[:3], ids[3:]) for ids in talked):
        assert 1 <= len(answer) <= asked.tokens
        assert IM_END not in answer[:-1]
        assert prompt == talked[0][:3], "the end of what the template puts before every answer"


def test_all_stages_are_announced(built: Work, workshop: DecoderWorkshop, tiny_gguf: Path) -> None:
    announced = stage_count(workshop.recipe(tiny_gguf))
    assert len(built.ran) + len(built.cached) == announced
    assert len(set(built.ran)) == announced


def test_a_second_build_runs_nothing_and_says_the_same(
    built: Work, workshop: DecoderWorkshop, tiny_gguf: Path
) -> None:
    again = workshop.build(tiny_gguf)
    assert again.ran == []
    assert again.built == built.built


def test_another_canary_only_measures_again(
    built: Work, workshop: DecoderWorkshop, tiny_gguf: Path
) -> None:
    del built
    work = workshop.build(tiny_gguf, ("Peso leve!", "Peso pesado!"))
    assert work.ran == [f"{d}: load, run, and measure on state-of-the-union" for d in DTYPES]


def test_texts_and_bounds_change_without_running_anything(
    built: Work, workshop: DecoderWorkshop, tiny_gguf: Path
) -> None:
    del built
    changes = (("Random weights.", "At random."), ("max_kl = 0.000001", "max_kl = 0.5"))
    work = workshop.build(tiny_gguf, *changes, ('default_dtype = "q4_1"', 'default_dtype = "fp32"'))
    assert work.ran == []
    assert work.built.model.summary["en"] == "At random."
    assert work.built.model.default_dtype == "fp32"


def test_a_directory_is_built_without_an_import(workshop: DecoderWorkshop, tiny_llama: Path) -> None:
    changes = ((GGUF, DIRECTORY), *ONLY_FP32)
    work = workshop.build(tiny_llama, *changes)
    assert len(work.ran) == stage_count(workshop.recipe(tiny_llama, *changes))
    assert rows(work)["fp32", "kl"].value < 1e-8
    assert work.built.model.source.kind == "directory"


def lossless(work: Work, dtype: str = "q4_1") -> None:
    assert rows(work)[dtype, "kl"].value < 1e-7
    assert rows(work)[dtype, "top1_agreement"].value == 1.0


def in_blocks(tensors: Tensors) -> set[str]:
    return {name for name, tensor in tensors.items() if isinstance(tensor, BlockTensor)}


def test_a_gemma_is_built(workshop: DecoderWorkshop, tiny_gemma: Path, tmp_path: Path) -> None:
    path = tmp_path / "gemma.gguf"
    write_gguf(path, tiny_gemma, every("Q8_0"))
    work = workshop.build(path)
    lossless(work)
    assert work.built.model.shape.family == "gemma3_text"
    assert work.built.model.shape.head_size == 32
    assert TABLE in in_blocks(planes_of(work.built, "q4_1"))


def test_an_untied_model_is_built(workshop: DecoderWorkshop, tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "untied", tied=False)
    path = tmp_path / "untied.gguf"
    write_gguf(path, tmp_path / "untied", every("Q8_0"))
    work = workshop.build(path)
    lossless(work)
    planes = planes_of(work.built, "q4_1")
    assert {TABLE, "lm_head.MatMul.weight"} <= in_blocks(planes)


def test_a_table_with_minimums_stays_in_fp32(
    workshop: DecoderWorkshop, tiny_llama: Path, tmp_path: Path
) -> None:
    """It is looked up as well as multiplied with, and no operator takes its minimums."""
    path = tmp_path / "tiny.gguf"
    write_gguf(path, tiny_llama, every("Q4_1"))
    work = workshop.build(path)
    lossless(work)
    planes = planes_of(work.built, "q4_1")
    assert TABLE not in in_blocks(planes)
    assert len(in_blocks(planes)) >= 4 * LAYERS


def test_parts_of_different_types_stay_in_fp32(
    workshop: DecoderWorkshop, tiny_llama: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    kinds = {"attn_q": "Q4_0", "attn_k": "Q8_0", "attn_v": "F16", "ffn_down": "Q6_K"}
    write_gguf(path, tiny_llama, lambda name: kinds.get(name.split(".")[-2], "Q5_1"))
    work = workshop.build(path)
    lossless(work)
    planes = planes_of(work.built, "q4_1")
    assert "model.layers.0.mlp.down_proj.MatMul.weight" in in_blocks(planes)
    assert not any("v_proj" in name or "qkv" in name for name in in_blocks(planes))


def test_exact_gguf_of_something_else_is_a_recipe_error(
    workshop: DecoderWorkshop, tiny_llama: Path
) -> None:
    with pytest.raises(
        RecipeError, match=r"dtypes\.q4_1: method 'exact_gguf' needs a source of kind 'gguf'"
    ):
        workshop.build(tiny_llama, (GGUF, DIRECTORY))


def test_a_dtype_that_is_too_far_from_its_source_publishes_nothing(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reduce_weights = weights.reduce_weights

    def spoiled(*given: Any) -> Tensors:
        tensors = dict(reduce_weights(*given))
        table = tensors[TABLE]
        assert isinstance(table, BlockTensor)
        return {**tensors, TABLE: replace(table, q=table.q & np.uint8(0xC0))}

    monkeypatch.setattr(weights, "reduce_weights", spoiled)
    with pytest.raises(
        QualityError, match=r"tiny-llama in q4_1 is \d\.\d{4} nats.*dtypes\.q4_1\.max_kl"
    ) as told:
        DecoderWorkshop(tmp_path).build(tiny_gguf)
    assert told.value.exit_code == 4


def test_a_model_that_is_no_decoder_is_named(workshop: DecoderWorkshop, tiny_model: Path) -> None:
    with pytest.raises(
        SourceError, match=r"is a 'bert'; decoders that can be exported are: llama, gemma3"
    ):
        workshop.build(tiny_model, (GGUF, DIRECTORY), *ONLY_FP32)


@pytest.fixture
def copied(tiny_llama: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_llama, tmp_path / "copied")


def test_a_base_model_without_a_template_is_refused(workshop: DecoderWorkshop, copied: Path) -> None:
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(SourceError, match="tiny-llama has no chat template"):
        workshop.build(copied, (GGUF, DIRECTORY), *ONLY_FP32)


def test_a_template_in_a_file_of_its_own_is_taken(workshop: DecoderWorkshop, copied: Path) -> None:
    (copied / "chat_template.jinja").write_text("{{ messages[-1]['content'] }}")
    pipeline = workshop.build(copied, (GGUF, DIRECTORY), *ONLY_FP32).built.model.pipeline
    assert isinstance(pipeline, TextGeneration)
    assert pipeline.chat_template == "{{ messages[-1]['content'] }}"


def test_a_scaled_rotary_embedding_is_refused(workshop: DecoderWorkshop, copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["rope_scaling"] = {"rope_type": "linear", "factor": 8.0}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match="scales its rotary embedding"):
        workshop.build(copied, (GGUF, DIRECTORY), *ONLY_FP32)


def test_the_context_is_no_longer_than_the_models(workshop: DecoderWorkshop, tiny_gguf: Path) -> None:
    work = workshop.build(tiny_gguf, ("max_length = 128", "max_length = 4096"))
    assert isinstance(work.built.model.pipeline, TextGeneration)
    assert work.built.model.pipeline.context == CONTEXT


# --- what is published, and the command ---


@pytest.fixture
def models(built: Work, tmp_path: Path) -> Path:
    model, packed = built.built.model, built.built.packed
    publish(tmp_path / "models", {model.id: (model, packed)})
    return tmp_path / "models"


def test_what_was_built_passes_its_check(models: Path) -> None:
    checked = check(models)
    assert [(row.model, row.dtype, row.canary_difference) for row in checked] == [
        ("tiny-llama", dtype, 0.0) for dtype in DTYPES
    ]


def test_a_wrong_golden_token_is_found(models: Path) -> None:
    catalog = json.loads((models / CATALOG).read_text())
    golden = catalog["models"][0]["canary"]["outputs"]["fp32"][1]
    golden[-1] = (golden[-1] + 1) % VOCABULARY
    (models / CATALOG).write_text(json.dumps(catalog))
    with pytest.raises(CheckError, match=r"tiny-llama in fp32 answers its canary 0\.125 off"):
        check(models)


def test_the_command_builds_and_a_second_time_does_nothing(
    built: Work,
    workshop: DecoderWorkshop,
    tiny_gguf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del built
    monkeypatch.setenv("PESOLEVE_CACHE", str(workshop.cache))
    monkeypatch.setenv("COLUMNS", "200")
    recipe = write_decoder_recipe(tmp_path / "tiny.toml", tiny_gguf)
    told = []
    for _ in range(2):
        monkeypatch.setattr(
            sys, "argv", ["pesoleve", "build", str(recipe), "--out", str(tmp_path / "out")]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        told.append(capsys.readouterr())
    for said in ("q4_1 (default)", "kl", "perplexity", "top1_agreement", "frontier"):
        assert said in told[0].out
    assert "Wrote" in told[0].err
    assert "Nothing changed" in told[1].err
    assert [model.id for model in read(tmp_path / "out").models] == ["tiny-llama"]
    picture = (tmp_path / "out" / "tiny-llama" / "frontier.svg").read_text(encoding="utf-8")
    for dtype in DTYPES:  # matplotlib leaves every text in a comment beside its outlines
        assert f" {dtype}: " in picture
