"""The decoder's graph against transformers' own forward pass."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from pesoleve.graph import decoder, layouts
from pesoleve.measure.perplexity import reference_logits
from pesoleve.native_host import NativeDecoder
from tests.export.graph.decoder_run import IDS, Floats, logits, opened
from tests.tiny_llama import CONTEXT, LAYERS, VOCABULARY, write_tiny_llama

MODELS = ["llama", "gemma", "untied"]


class Tiny:
    """A tiny model, its graph, that graph's session in fp32, and what transformers says to IDS."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.graph = decoder.build_decoder(directory)
        self.session = opened(self.graph, layouts.weights_of(self.graph))
        self.reference = reference_logits(directory)
        self.expected = self.reference(IDS)


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("untied")
    write_tiny_llama(directory, tied=False)
    return directory


@pytest.fixture(scope="module", params=MODELS)
def tiny(request: pytest.FixtureRequest, tiny_llama: Path, tiny_gemma: Path, untied: Path) -> Tiny:
    return Tiny({"llama": tiny_llama, "gemma": tiny_gemma, "untied": untied}[request.param])


@pytest.fixture
def fresh(tiny: Tiny) -> NativeDecoder:
    tiny.session.truncate(0)
    return tiny.session


def log_sum_exp(values: Floats) -> Any:
    wide = values.astype(np.float64)
    return np.log(np.exp(wide).sum(axis=-1))


def test_the_tiny_models_are_worth_comparing(tiny: Tiny) -> None:
    spread = tiny.expected.max(axis=1) - np.median(tiny.expected, axis=1)
    assert spread.min() > 1
    assert len(set(tiny.expected.argmax(axis=1))) > 5


def test_a_prefill_gives_transformers_logits(tiny: Tiny, fresh: NativeDecoder) -> None:
    outputs = fresh.run(IDS, len(IDS), ["logits", "log_normalizer"])
    np.testing.assert_allclose(outputs["logits"][0], tiny.expected, rtol=0, atol=5e-5)
    normalizers = outputs["log_normalizer"][0, :, 0]
    np.testing.assert_allclose(normalizers, log_sum_exp(tiny.expected), rtol=0, atol=5e-5)


def test_token_by_token_gives_the_same(tiny: Tiny, fresh: NativeDecoder) -> None:
    rows = np.concatenate([logits(fresh, [token]) for token in IDS])
    np.testing.assert_allclose(rows, tiny.expected, rtol=0, atol=5e-5)


def test_any_cut_of_a_prefill_gives_the_same(tiny: Tiny, fresh: NativeDecoder) -> None:
    rows = np.concatenate([logits(fresh, IDS[a:b]) for a, b in ((0, 5), (5, 6), (6, 29), (29, 40))])
    np.testing.assert_allclose(rows, tiny.expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("length", [0, 1, 7, 20, 39, 40])
def test_after_a_truncate_other_tokens_answer_as_in_a_fresh_run(
    tiny: Tiny, fresh: NativeDecoder, length: int
) -> None:
    other = [(token + 1) % VOCABULARY for token in IDS[:12]]
    logits(fresh, IDS)
    fresh.truncate(length)
    assert fresh.length == length
    answer = logits(fresh, other)
    expected = tiny.reference([*IDS[:length], *other])[length:]
    np.testing.assert_allclose(answer, expected, rtol=0, atol=5e-5)
    assert fresh.length == length + len(other)


def test_a_cache_cannot_be_truncated_to_more_than_it_holds(fresh: NativeDecoder) -> None:
    logits(fresh, IDS[:3])
    for length in (-1, 4):
        with pytest.raises(ValueError, match="holds 3 tokens"):
            fresh.truncate(length)


def test_the_last_kept_are_answered_for_in_order(tiny: Tiny, fresh: NativeDecoder) -> None:
    answers = asyncio.run(fresh.feed(IDS, 5, keep=3))
    assert len(answers) == 3
    for answer, expected in zip(answers, tiny.expected[-3:], strict=True):
        likeliest = np.argsort(-expected)[:5]
        assert answer.ids == likeliest.tolist()
        np.testing.assert_allclose(answer.logits, expected[likeliest], rtol=0, atol=5e-5)
        assert answer.log_normalizer == pytest.approx(log_sum_exp(expected), abs=5e-5)


@pytest.mark.parametrize("top_k", [VOCABULARY, VOCABULARY + 1, 1024])
def test_more_candidates_than_the_vocabulary_are_all_of_it(fresh: NativeDecoder, top_k: int) -> None:
    (answer,) = asyncio.run(fresh.feed(IDS[:4], top_k))
    assert sorted(answer.ids) == list(range(VOCABULARY))
    assert answer.logits == sorted(answer.logits, reverse=True)


def test_the_inputs_and_outputs_are_those_the_page_feeds(tiny: Tiny) -> None:
    layers = json.loads((tiny.directory / "config.json").read_text())["num_hidden_layers"]
    cache = [f"{n}.{part}" for n in range(layers) for part in ("key", "value")]
    assert {value.name for value in tiny.graph.graph.input} == {
        *("input_ids", "attention_mask", "logits_to_keep", "top_k"),
        *(f"past_key_values.{name}" for name in cache),
    }
    assert {value.name for value in tiny.graph.graph.output} == {
        *("top_values", "top_ids", "log_normalizer"),
        *(f"present.{name}" for name in cache),
    }


def test_a_tied_table_is_there_once_and_an_untied_head_beside_it(tiny: Tiny) -> None:
    names = [name for name, w in layouts.weights_of(tiny.graph).items() if len(w) == VOCABULARY]
    tied = json.loads((tiny.directory / "config.json").read_text()).get("tie_word_embeddings", True)
    assert names == ([decoder.TABLE] if tied else [decoder.TABLE, decoder.HEAD])


def test_matrices_have_the_shape_that_transformers_gives_them(tiny_llama: Path) -> None:
    weights = layouts.weights_of(decoder.build_decoder(tiny_llama))
    given = load_file(tiny_llama / "model.safetensors")
    for layer in range(LAYERS):
        for part in ("gate_proj", "up_proj", "down_proj"):
            ours = weights[f"model.layers.{layer}.mlp.{part}.MatMul.weight"]
            np.testing.assert_array_equal(ours, given[f"model.layers.{layer}.mlp.{part}.weight"])


def test_no_table_of_angles_travels(tiny: Tiny) -> None:
    assert all(
        CONTEXT not in tensor.dims for tensor in tiny.graph.graph.initializer if "cache" in tensor.name
    )


def test_the_tables_from_the_formula_are_the_builders_own(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(decoder, "_rotary_from_formula", lambda _model, _config, _context: None)
        theirs = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in decoder.build_decoder(tiny.directory).graph.initializer
            if tensor.name.startswith(decoder.ROTARY)
        }
    assert len(theirs) == (4 if tiny.directory.name == "tiny-gemma" else 2)
    ours = computed(tiny.graph, list(theirs))
    for name, table in theirs.items():
        assert ours[name].shape == table.shape == (CONTEXT, table.shape[1])
        np.testing.assert_allclose(ours[name], table, rtol=0, atol=CONTEXT * 2.0**-22)


def test_a_shorter_context_has_the_first_rows_of_the_tables(tiny: Tiny) -> None:
    short = decoder.build_decoder(tiny.directory, context=CONTEXT // 2)
    names = [node.output[0] for node in short.graph.node if node.op_type in ("Cos", "Sin")]
    ours, whole = computed(short, names), computed(tiny.graph, names)
    for name in names:
        np.testing.assert_array_equal(ours[name], whole[name][: CONTEXT // 2])
    given = logits(opened(short, layouts.weights_of(short)), IDS)
    tiny.session.truncate(0)
    np.testing.assert_array_equal(given, logits(tiny.session, IDS))
    assert not any(value.name in names for value in short.graph.value_info)


def computed(graph: onnx.ModelProto, names: list[str]) -> dict[str, Floats]:
    """What the graph computes under these names from its constants alone."""
    import onnxruntime as ort

    nodes = [node for node in graph.graph.node if node.output[0].startswith(decoder.ROTARY)]
    inputs = {name for node in nodes for name in node.input}
    small = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            "rotary",
            [],
            [onnx.helper.make_tensor_value_info(name, 1, None) for name in names],
            [tensor for tensor in graph.graph.initializer if tensor.name in inputs],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=10,
    )
    session = ort.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {}), strict=True))


def test_a_table_of_no_known_base_travels_as_it_is(tiny_llama: Path, tmp_path: Path) -> None:
    """Llama 3's scaling bends the formula."""
    scaled = shutil.copytree(tiny_llama, tmp_path / "scaled")
    config = json.loads((scaled / "config.json").read_text())
    config["rope_scaling"] = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }
    (scaled / "config.json").write_text(json.dumps(config))
    graph = decoder.build_decoder(scaled)
    kept = {t.name: tuple(t.dims) for t in graph.graph.initializer if t.name.startswith(decoder.ROTARY)}
    assert set(kept) == set(decoder.ROTARY)


def test_an_untied_head_that_is_not_there_is_named(untied: Path, tmp_path: Path) -> None:
    headless = shutil.copytree(untied, tmp_path / "headless")
    weights = load_file(headless / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, headless / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=re.escape("has no lm_head.weight")):
        decoder.build_decoder(headless)
