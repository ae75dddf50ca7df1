"""Predicted bytes against built ones, for every dtype of every recipe that ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from pesoleve import catalog
from pesoleve.blocks import BlockTensor
from pesoleve.graph import layouts
from pesoleve.graph.decoder import TABLE
from pesoleve.graph.quantize import stored_bits
from pesoleve.lab_recipe import ClassifierRecipe, Lora
from pesoleve.measure import snippets
from pesoleve.planes import Tensors, write_planes
from pesoleve.recipe import DecoderRecipe, bundled, load_recipe
from pesoleve.recipe_base import GgufSource
from pesoleve.sizes import plane_tensors
from pesoleve.sources import resolve
from pesoleve.sources.gguf_file import GgufFile
from pesoleve_worker.architecture import TensorShape, tensors_of
from pesoleve_worker.catalog import File, Model
from pesoleve_worker.formats import USUAL, layout_bytes, planes_bytes, qdq_bytes, weight_bytes

SITE = Path(__file__).parents[2] / "site" / "models"
WITHIN = 0.005
MODELS = {model.id: model for model in catalog.read(SITE).models}
DTYPES = [(name, dtype) for name in bundled() for dtype in load_recipe(name).dtypes]


def shards(model: Model, dtype: str) -> list[File]:
    return model.files_for("wasm", dtype)["weights"]


def configuration(name: str, folder: Path) -> dict[str, Any]:
    """What the source itself says of its shape."""
    recipe = load_recipe(name)
    source = resolve(recipe.source)
    if not isinstance(recipe.source, GgufSource):
        return source.read_json("config.json")
    GgufFile(source.directory).write_directory(folder)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def from_shape(name: str, dtype: str, folder: Path) -> int:
    """Bytes of the weights, from the source's configuration and the recipe alone."""
    recipe = load_recipe(name)
    tensors = tensors_of(configuration(name, folder))
    assert not isinstance(recipe, ClassifierRecipe)
    if isinstance(recipe, DecoderRecipe):
        return weight_bytes(tensors, dtype)
    exported = [tensor for tensor in tensors if not tensor.name.startswith("pooler")]
    of = recipe.dtypes[dtype]
    return qdq_bytes(exported, of.bits, of.block_size)


def classifier_tensors(model: Model) -> list[TensorShape]:
    """A lab model's tensors, from what the catalog says of its shape; what is below a kilobyte stays in
    the graph. Shared layers stand once."""
    shape = model.shape
    hidden, width, inner = shape.hidden, shape.heads * shape.head_size, shape.intermediate
    layers = 1 if model.id == "sentiment-shared" else shape.layers
    matrices = [(hidden, 3 * width), (width, hidden), (hidden, inner), (inner, hidden)]
    vectors = [(3 * width,), (inner,), *[(hidden,)] * 6]
    found = [
        TensorShape("words", "embedding", (shape.vocabulary, hidden)),
        TensorShape("positions", "vector", (shape.context, hidden)),
        *[TensorShape("norm", "vector", (hidden,))] * 2,
        TensorShape("head", "vector", (hidden, 2)),
    ]
    found += [TensorShape("matrix", "matrix", size) for size in matrices] * layers
    found += [TensorShape("vector", "vector", size) for size in vectors] * layers
    return [tensor for tensor in found if 4 * tensor.count >= 1024]


def classifier_bytes(recipe: ClassifierRecipe, model: Model, dtype: str) -> int:
    """Bytes of a lab model's weights in a dtype, from its shape and the recipe alone."""
    of, tensors = recipe.dtypes[dtype], classifier_tensors(model)
    if recipe.shared_base is not None:
        base = sum(file.decoded_bytes for file in shards(MODELS[recipe.shared_base], dtype))
        (step,) = recipe.reduce
        assert isinstance(step, Lora)
        hidden, inner = model.shape.hidden, model.shape.intermediate
        pairs = [(hidden, hidden), (hidden, inner), (inner, hidden)]
        adapter = sum(2 * step.rank * (down + up) for down, up in pairs) * model.shape.layers
        return base + adapter + 4 * hidden * len(snippets.LABELS[recipe.dataset])
    if of.bits == 16:
        return sum((2 if len(t.shape) == 2 and t.count >= 4096 else 4) * t.count for t in tensors)
    if of.compute != "float":  # the scale and the zero point of each output stay in the graph
        whole = {"matrix": 1, "embedding": 1, "vector": 4}
        return sum(whole[t.kind] * t.count for t in tensors)
    positions = next(tensor.count for tensor in tensors if tensor.name == "positions")
    if of.bits < 16 and positions >= 4096:  # which is in no block, and halved
        return qdq_bytes(tensors, stored_bits(of.bits), of.block_size) - 2 * positions
    return qdq_bytes(tensors, stored_bits(of.bits), of.block_size)


def header_of(shard: File, path: Path) -> Path:
    """Write the first megabyte of a file of planes, which holds its header, to ``path``."""
    with zstandard.open(SITE / shard.path) as packed:
        path.write_bytes(packed.read(2**20))
    return path


@pytest.mark.parametrize(("name", "dtype"), DTYPES)
def test_predicted_bytes_are_those_that_were_built(name: str, dtype: str, tmp_path: Path) -> None:
    """GPTQ picks each tensor's levels by what it costs in quality: those two dtypes are predicted from
    the levels that were picked, all others from the shape alone."""
    model = MODELS[load_recipe(name).id]
    built = sum(file.decoded_bytes for file in shards(model, dtype))
    recipe = load_recipe(name)
    if isinstance(recipe, DecoderRecipe) and recipe.dtypes[dtype].method == "gptq":
        tensors, formats = plane_tensors(header_of(shards(model, dtype)[0], tmp_path / "planes"))
        assert sum(t.count for t in tensors if t.tied_to is None) == model.parameters.stored
        predicted = planes_bytes(tensors, formats)
    elif isinstance(recipe, ClassifierRecipe):
        predicted = classifier_bytes(recipe, model, dtype)
    else:
        predicted = from_shape(name, dtype, tmp_path)
    assert predicted == pytest.approx(built, rel=WITHIN)


@pytest.mark.parametrize(("name", "dtype"), DTYPES)
def test_what_travels_is_in_the_range_that_was_said(name: str, dtype: str) -> None:
    files = shards(MODELS[load_recipe(name).id], dtype)
    share = sum(file.bytes for file in files) / sum(file.decoded_bytes for file in files)
    least, _, most = USUAL[dtype].zstd if dtype in USUAL else (0.3, 0.9, 0.98)
    assert least < share < most  # half of the weights of one are zero


def test_the_catalog_says_what_its_devices_take() -> None:
    for model in MODELS.values():
        for device in model.devices.values():
            assert set(device.sizes) == set(device.files)
            for dtype, sizes in device.sizes.items():
                files = [model.file(path) for path in device.files[dtype]]
                decoded = sum(file.decoded_bytes for file in files)
                held = 0 if device.layout == "int8" else decoded  # there they stay on the disk
                assert sizes.loading_bytes >= sizes.memory_bytes + held
                writes = model.task == "text_generation"
                assert sizes.multiply_adds == pytest.approx(
                    model.parameters.total - (0 if writes else model.parameters.embedding),
                    rel=0.03,  # a lab model's table of positions is no small part of it
                )


def some_tensors(rng: np.random.Generator, bits: int, block: int, *, minimum: bool) -> Tensors:
    def blocks(rows: int, columns: int, *, low: bool) -> BlockTensor:
        shape = (rows, columns // block)
        scale = rng.random(shape).astype(np.float16)
        q = rng.integers(0, 2**bits, (rows, columns)).astype(np.uint8)
        return BlockTensor(q, scale, scale if low else None, 0 if low else 2 ** (bits - 1), bits)

    return {
        TABLE: blocks(40, 96, low=False),
        "layer.weight": blocks(24, 96, low=minimum),
        "left.weight": rng.random((8, 96)).astype(np.float32),
        "norm.weight": rng.random(96).astype(np.float32),
    }


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@pytest.mark.parametrize(("bits", "block"), [(4, 32), (8, 32), (4, 96), (8, 96), (4, 16)])
@pytest.mark.parametrize("minimum", [False, True])
def test_bytes_in_memory_are_those_of_what_is_expanded(
    layout: str, bits: int, block: int, minimum: bool, tmp_path: Path
) -> None:
    tensors = some_tensors(np.random.default_rng(3), bits, block, minimum=minimum)
    content = write_planes(tensors)
    (tmp_path / "planes").write_bytes(content)
    shapes, formats = plane_tensors(tmp_path / "planes")
    expanded = sum(array.nbytes for array in layouts.expand(tensors, layout).values())
    assert layout_bytes(shapes, layout, formats) == expanded
    header = 8 + int.from_bytes(content[:8], "little")
    assert planes_bytes(shapes, formats) == len(content) - header


def test_a_tied_head_is_computed_with_and_not_stored(tmp_path: Path) -> None:
    (tmp_path / "planes").write_bytes(
        write_planes(some_tensors(np.random.default_rng(3), 4, 32, minimum=False))
    )
    shapes, _ = plane_tensors(tmp_path / "planes")
    head = shapes[-1]
    assert head == TensorShape("lm_head.MatMul.weight", "matrix", (40, 96), tied_to=TABLE)
