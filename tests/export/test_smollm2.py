"""The model that the default recipe ships, whole: nothing of the GGUF's numbers is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer

from pesoleve.blocks import BlockTensor
from pesoleve.catalog import read
from pesoleve.graph import layouts
from pesoleve.measure.datasets import load_text
from pesoleve.measure.perplexity import Floats, compare, windows
from pesoleve.native_host import NativeDecoder
from pesoleve.planes import read_planes, write_planes
from pesoleve.recipe import load_recipe
from pesoleve.sources import resolve
from pesoleve.sources.gguf_file import GgufFile
from pesoleve.weights import source_names
from pesoleve_worker.catalog import Model
from pesoleve_worker.generation.ngrams import Ngrams
from tests.export.decoder_workshop import unpacked
from tests.tiny_gguf import gguf_name

ID = "smollm2-135m-instruct"
MODELS = Path(__file__).parents[2] / "site" / "models"
TOKENS, WINDOW = 1000, 250


@pytest.fixture(scope="module")
def gguf() -> GgufFile:
    return GgufFile(resolve(load_recipe(ID).source).directory)


@pytest.fixture(scope="module")
def model() -> Model:
    (found,) = (model for model in read(MODELS).models if model.id == ID)
    return found


def assert_same(ours: Any, theirs: Any, name: str) -> None:
    assert ours.shape == theirs.shape, name
    assert float(np.abs(ours - theirs).max()) == 0.0, name


def test_its_habits_are_its_own_and_light(model: Model, tmp_path: Path) -> None:
    files = unpacked(model, MODELS / ID, "wasm", model.default_dtype)
    (tmp_path / "tokenizer.json").write_bytes(files["tokenizer"])
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    habits = Ngrams.parse(files["ngrams"], model.shape.vocabulary)
    ids = tokenizer.encode("I'm happy to", add_special_tokens=False).ids
    assert tokenizer.decode(habits.follow(ids, 1)).strip() == "help"
    (wire,) = (file for file in model.files if file.role == "ngrams")
    assert wire.bytes < 200_000


def test_every_tensor_survives_its_planes(gguf: GgufFile) -> None:
    """gguf-py dequantizes the file's own bytes; ours went through a file of planes."""
    raw = {tensor.name: tensor for tensor in GGUFReader(gguf.path).tensors}
    assert {gguf_name(name, "llama") for name in gguf.tensors} == set(raw)
    kinds: dict[str, int] = {}
    for name, tensor in gguf.tensors.items():
        stored = raw[gguf_name(name, "llama")]
        theirs = np.asarray(dequantize(stored.data, stored.tensor_type), np.float32)
        blocks = tensor.blocks()
        (read_back,) = read_planes(
            write_planes({name: tensor.values() if blocks is None else blocks})
        ).values()
        ours = read_back.dequantize() if isinstance(read_back, BlockTensor) else read_back
        if tensor.order is not None:  # llama.cpp's order of rows, back again
            theirs = theirs[tensor.order]
        assert_same(ours, theirs, name)
        kinds[tensor.kind] = kinds.get(tensor.kind, 0) + 1
    assert kinds.get("Q4_1", 0) > 200
    assert all(kind in GGMLQuantizationType.__members__ for kind in kinds)


def test_what_is_shipped_decodes_to_exactly_the_gguf(gguf: GgufFile, model: Model) -> None:
    files = unpacked(model, MODELS / ID, "wasm", model.default_dtype)
    seen: set[str] = set()
    for name, tensor in read_planes(files["weights"]).items():
        ours = tensor.dequantize() if isinstance(tensor, BlockTensor) else tensor
        names = source_names(name)
        known = [part for part in names if part in gguf.tensors]
        if not known:  # a norm, under the builder's name
            assert ours.ndim == 1
            assert any(
                np.array_equal(ours, gguf.tensors[n].values()) for n in gguf.tensors if "norm" in n
            )
            continue
        assert known == names
        seen |= set(names)
        assert_same(ours, np.concatenate([gguf.tensors[part].values() for part in names]), name)
    assert {name for name in gguf.tensors if "norm" not in name} <= seen


def test_the_shipped_graph_says_what_transformers_does(
    gguf: GgufFile, model: Model, tmp_path: Path
) -> None:
    files = unpacked(model, MODELS / ID, "wasm", model.default_dtype)
    (tmp_path / "tokenizer.json").write_bytes(files["tokenizer"])
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = tokenizer.encode(load_text("state-of-the-union")[: 10 * TOKENS], add_special_tokens=False).ids
    texts = windows(ids, TOKENS, WINDOW)

    graph = onnx.load_from_string(files["graph"])
    graph.graph.output.append(onnx.helper.make_tensor_value_info("logits", 1, None))
    layout = model.devices["wasm"].layout
    session = NativeDecoder(
        graph.SerializeToString(), layouts.expand(read_planes(files["weights"]), layout), {}
    )

    def logits(window: list[int]) -> Floats:
        session.truncate(0)
        answer: Floats = session.run(window, len(window), ["logits"])["logits"][0]
        return answer

    quality = compare(reference(gguf, texts), logits, texts)
    assert quality.n == TOKENS
    assert quality.top1_agreement >= 0.995
    assert quality.kl <= 1e-4
    assert 5 < quality.perplexity < 50  # it can read
    assert quality.perplexity == pytest.approx(quality.reference_perplexity, rel=1e-3)


def reference(gguf: GgufFile, texts: list[list[int]]) -> Iterator[Floats]:
    """transformers on the dequantized weights, from memory."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    llama = LlamaForCausalLM(LlamaConfig.from_dict(gguf.config)).eval()
    state = {name: torch.from_numpy(tensor.values()) for name, tensor in gguf.tensors.items()}
    lacking, unknown = llama.load_state_dict(state, strict=False)
    assert (lacking, unknown) == (["lm_head.weight"], [])  # which is the table
    assert llama.lm_head.weight is llama.model.embed_tokens.weight
    with torch.inference_mode():
        for window in texts:
            yield llama(torch.tensor([window])).logits[0].numpy()
