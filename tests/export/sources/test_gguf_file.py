from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from pesoleve.errors import SourceError
from pesoleve.measure.perplexity import reference_logits
from pesoleve.recipe_base import GgufSource
from pesoleve.sources import resolve
from pesoleve.sources.gguf_file import TYPES, GgufFile
from tests.tiny_gguf import IN_BLOCKS, K_QUANTS, PLAIN, every, gguf_name, write_gguf
from tests.tiny_llama import (
    CHAT_TEMPLATE,
    CONTEXT,
    END,
    HEADS,
    HIDDEN,
    IM_END,
    IM_START,
    INTERMEDIATE,
    KV_HEADS,
    LAYERS,
    VOCABULARY,
    WINDOW,
    write_tiny_llama,
)

TOLERANCE = {"F32": 0, "F16": 2e-3, "BF16": 1e-2, "Q8_0": 1e-2, "Q5_0": 8e-2, "Q5_1": 8e-2}
TOLERANCE |= {"Q4_0": 0.15, "Q4_1": 0.15}
"""How far from the original a weight may be stored. A row out of its place is further off than any."""

Write = Callable[..., Path]


@pytest.fixture
def write(tiny_llama: Path, tmp_path: Path) -> Write:
    """Write a GGUF of the tiny Llama, or of another model."""

    def write_file(*args: object, model: Path = tiny_llama, **options: object) -> Path:
        path = tmp_path / "tiny.gguf"
        write_gguf(path, model, *args, **options)  # type: ignore[arg-type]  # passed on
        return path

    return write_file


def imported(path: Path) -> Path:
    """The file as a directory in the Hugging Face layout."""
    output = path.with_suffix(".imported")
    output.mkdir()
    GgufFile(path).write_directory(output)
    return output


def mixed(kind: str) -> Callable[[str], str]:
    """A K-quant where a row is long enough, else Q8_0."""
    if kind not in K_QUANTS:
        return every(kind)
    return lambda name: kind if "ffn_down" in name else "Q8_0"


def test_every_type_that_loads_is_tried() -> None:
    assert set(TYPES) == {*PLAIN, *IN_BLOCKS, *K_QUANTS}


@pytest.mark.parametrize("kind", TYPES)
def test_the_directory_holds_what_gguf_dequantizes(write: Write, kind: str) -> None:
    path = write(mixed(kind))
    weights = load_file(imported(path) / "model.safetensors")
    raw = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    assert {gguf_name(name, "llama") for name in weights} == set(raw)
    for name, weight in weights.items():
        assert weight.dtype == np.float32
        stored = raw[gguf_name(name, "llama")]
        theirs = np.asarray(dequantize(stored.data, stored.tensor_type))
        if "q_proj" in name or "k_proj" in name:  # the same rows in another order
            weight, theirs = (np.sort(rows, axis=0) for rows in (weight, theirs))
        np.testing.assert_array_equal(weight, theirs.reshape(weight.shape))
    assert any(tensor.tensor_type == GGMLQuantizationType[kind] for tensor in raw.values())


@pytest.mark.parametrize("kind", TOLERANCE)
def test_every_row_is_in_its_place(write: Write, tiny_llama: Path, kind: str) -> None:
    weights = load_file(imported(write(every(kind))) / "model.safetensors")
    original = load_file(tiny_llama / "model.safetensors")
    assert weights.keys() == original.keys()
    for name, weight in original.items():
        np.testing.assert_allclose(weights[name], weight, rtol=0, atol=TOLERANCE[kind], err_msg=name)


@pytest.mark.parametrize("kind", IN_BLOCKS)
def test_the_blocks_are_the_directorys_weights(write: Write, kind: str) -> None:
    path = write(every(kind))
    weights = load_file(imported(path) / "model.safetensors")
    for name, tensor in GgufFile(path).tensors.items():
        blocks = tensor.blocks()
        assert (blocks is None) == ("norm" in name)
        if blocks is not None:
            np.testing.assert_array_equal(blocks.dequantize(), weights[name])


def test_the_imported_model_says_what_the_original_does(write: Write, tiny_llama: Path) -> None:
    ids = [IM_START, 50, 60, 70, 80, IM_END, 90]
    ours, theirs = (reference_logits(d)(ids) for d in (imported(write()), tiny_llama))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_an_imported_gemma_says_what_the_original_does(write: Write, tiny_gemma: Path) -> None:
    """Its norms have lost the one that llama.cpp adds, and no row is moved."""
    ids = list(range(3 * WINDOW))
    directory = imported(write(model=tiny_gemma))
    ours, theirs = (reference_logits(d)(ids) for d in (directory, tiny_gemma))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    weights, original = (load_file(d / "model.safetensors") for d in (directory, tiny_gemma))
    assert weights.keys() == original.keys()
    for name, weight in original.items():
        np.testing.assert_allclose(weights[name], weight, rtol=0, atol=1e-7, err_msg=name)


def test_the_configuration_is_the_originals(write: Write, tiny_llama: Path) -> None:
    config = json.loads((imported(write()) / "config.json").read_text())
    original = json.loads((tiny_llama / "config.json").read_text())
    for key, expected in {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "max_position_embeddings": CONTEXT,
        "vocab_size": VOCABULARY,
        "bos_token_id": IM_START,
        "eos_token_id": IM_END,
        "tie_word_embeddings": True,
        "rope_theta": 5000.0,
    }.items():
        assert config[key] == expected, key
        assert key == "architectures" or original[key] == expected, key
    assert config["rms_norm_eps"] == pytest.approx(1e-5)


def test_an_untied_head_is_imported(write: Write, tmp_path: Path) -> None:
    model = tmp_path / "untied"
    write_tiny_llama(model, tied=False)
    directory = imported(write(model=model))
    assert json.loads((directory / "config.json").read_text())["tie_word_embeddings"] is False
    weights, original = (load_file(d / "model.safetensors") for d in (directory, model))
    np.testing.assert_array_equal(weights["lm_head.weight"], original["lm_head.weight"])


def test_the_tokenizer_and_its_template_come_along(write: Write, tiny_llama: Path) -> None:
    directory = imported(write())
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == CHAT_TEMPLATE
    assert (settings["bos_token"], settings["eos_token"]) == ("<|im_start|>", "<|im_end|>")
    ours, theirs = (Tokenizer.from_file(str(d / "tokenizer.json")) for d in (directory, tiny_llama))
    text = "<|im_start|>user\nPão 123!<|im_end|>"
    assert ours.encode(text).ids == theirs.encode(text).ids


def test_an_unknown_architecture_is_named(write: Write) -> None:
    path = write(architecture="mamba")
    with pytest.raises(SourceError, match=r"architecture 'mamba'; there are: llama, gemma3"):
        GgufFile(path)


def test_an_unknown_tensor_type_is_named_with_its_tensor(write: Write) -> None:
    def add(writer: GGUFWriter) -> None:
        raw = np.zeros((64, 2, 110), np.uint8).reshape(64, -1)
        writer.add_tensor("blk.0.extra.weight", raw, raw_dtype=GGMLQuantizationType.Q3_K)

    with pytest.raises(SourceError, match=r"blk\.0\.extra\.weight is of type Q3_K; there are: F32"):
        GgufFile(write(change=add))


def test_a_tensor_that_the_family_has_not_is_named(write: Write) -> None:
    def add(writer: GGUFWriter) -> None:
        writer.add_tensor("blk.1.ssm_conv1d.weight", np.zeros((4, 4), np.float32))

    with pytest.raises(SourceError, match=r"llama model has no tensor blk\.1\.ssm_conv1d\.weight"):
        GgufFile(write(change=add))


def test_angles_that_do_not_follow_the_plain_formula_are_refused(write: Write) -> None:
    def add_factors(writer: GGUFWriter) -> None:
        writer.add_tensor("rope_freqs.weight", np.ones(HIDDEN // HEADS // 2, np.float32))

    with pytest.raises(SourceError, match=r"scales its rotary embedding \(rope_freqs\.weight\)"):
        GgufFile(write(change=add_factors))
    with pytest.raises(SourceError, match=r"scales its rotary embedding \(rope\.scaling\.factor\)"):
        GgufFile(write(change=lambda writer: writer.add_rope_scaling_factor(8.0)))


def test_a_setting_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bare.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(SourceError, match=r"has no llama\.block_count, embedding_length"):
        GgufFile(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_a_source_error(tiny_gguf: Path, tmp_path: Path, share: float) -> None:
    content = tiny_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SourceError, match=r"cut\.gguf cannot be read as GGUF.*fetch it again"):
        GgufFile(path)


@pytest.mark.parametrize(
    "content", [b"GGML" + bytes(60), b"GGUF" + struct.pack("<I", 99) + bytes(60), b"{}"]
)
def test_what_is_no_gguf_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"other\.gguf cannot be read as GGUF"):
        GgufFile(path)


def test_a_source_on_disk_is_known_by_its_name_and_hash(tiny_gguf: Path) -> None:
    source = resolve(GgufSource(kind="gguf", path=tiny_gguf))
    assert (source.kind, source.locator, source.revision) == ("gguf", tiny_gguf.name, "")
    assert source.directory == tiny_gguf
    assert source.sha256 == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"there is no file {tmp_path / 'absent.gguf'}"):
        resolve(GgufSource(kind="gguf", path=tmp_path / "absent.gguf"))


def test_a_package_that_is_not_installed_is_named() -> None:
    lost = GgufSource(kind="gguf", path=Path("m.gguf"), package="no-such-package", version="1")
    with pytest.raises(SourceError, match="no-such-package"):
        resolve(lost)


def test_no_token_is_missing(write: Write) -> None:
    tokens = GgufFile(write()).metadata["tokenizer.ggml.tokens"]
    assert len(tokens) == VOCABULARY
    assert tokens[END] == "<|endoftext|>"
