"""Builds of the tiny decoders over one cache, and what the page would make of the packed files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pesoleve.build import Built, build_recipe
from pesoleve.graph import int8, layouts
from pesoleve.native_host import NativeDecoder
from pesoleve.pack import unpack
from pesoleve.planes import Tensors, read_planes
from pesoleve.recipe import DecoderRecipe, load_recipe
from pesoleve.stages import Stages
from pesoleve_worker.catalog import Model, Role
from tests.export.workshop import Work
from tests.tiny_decoder_recipe import write_decoder_recipe

GGUF = 'kind = "gguf"'
DIRECTORY = 'kind = "directory"'
EXACT = '[dtypes.q4_1]\nmethod = "exact_gguf"\nmax_kl = 0.000001\n\n'
ONLY_FP32 = ((EXACT, ""), ('default_dtype = "q4_1"', 'default_dtype = "fp32"'))


class DecoderWorkshop:
    def __init__(self, root: Path, cache: Path | None = None) -> None:
        self.cache = cache or root / "cache"
        self._root = root

    def recipe(self, model: Path, *changes: tuple[str, str]) -> DecoderRecipe:
        path = write_decoder_recipe(self._root / "recipe.toml", model, *changes)
        recipe = load_recipe(str(path))
        assert isinstance(recipe, DecoderRecipe)
        return recipe

    def build(self, model: Path, *changes: tuple[str, str]) -> Work:
        met: list[tuple[str, bool]] = []
        stages = Stages(self.cache, lambda label, cached: met.append((label, cached)))
        built = build_recipe(self.recipe(model, *changes), stages)
        ran = [label for label, cached in met if not cached]
        return Work(built, ran, [label for label, cached in met if cached])


def contents(built: Built, device: str, dtype: str) -> Mapping[Role, bytes]:
    """What the page has of these files once they are decoded."""
    return unpacked(built.model, built.packed, device, dtype)


def unpacked(model: Model, folder: Path, device: str, dtype: str) -> dict[Role, bytes]:
    return {
        role: b"".join(unpack((folder / Path(file.path).name).read_bytes(), file) for file in shards)
        for role, shards in model.files_for(device, dtype).items()
    }


def planes_of(built: Built, dtype: str) -> Tensors:
    return read_planes(contents(built, "wasm", dtype)["weights"])


def opened(model: Model, device: str, files: Mapping[Role, bytes]) -> NativeDecoder:
    """The decoder as ``device`` opens it, on the CPU."""
    layout = model.devices[device].layout
    weights: Any = layouts.expand(read_planes(files["weights"]), layout)
    steps = int8.STEPS if layout == "int8" else None
    return NativeDecoder(files["graph"], weights, model.devices[device].session_config, steps)
