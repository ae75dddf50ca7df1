"""MiniLM in many small shards: what downloads are tested with."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard

from pesoleve import catalog
from pesoleve.pack import read_content
from pesoleve_worker.catalog import File, Model

from .server import SITE

ID = "minilm-l6"
DTYPE = "q4"
SHARDS = 6


@dataclass(frozen=True)
class ShardedModel:
    folder: Path
    """To be served as ``models/``: a catalog of this model alone, and its files."""
    entry: Model
    content: bytes
    """Of the weights, decoded."""

    @property
    def shards(self) -> list[File]:
        return self.entry.files_for("wasm", DTYPE)["weights"]

    @property
    def files(self) -> list[File]:
        """All that a load on the CPU fetches."""
        return self.entry.wire_files("wasm", DTYPE)

    @property
    def sha256(self) -> str:
        """Of the weights' content."""
        return hashlib.sha256(self.content).hexdigest()

    def roles(self) -> dict[str, list[dict[str, object]]]:
        """The same as the page gives it to the files worker."""
        files = self.entry.files_for("wasm", DTYPE)
        return {role: [vars(file) for file in shards] for role, shards in files.items()}


def build_sharded_model(root: Path) -> ShardedModel:
    """Cut the built model's weights into shards of 2 MB; its catalog is in ``root / "models"``."""
    built = next(model for model in catalog.read(SITE / "models").models if model.id == ID)
    weights = built.files_for("wasm", DTYPE)["weights"]
    return publish_sharded(root, built, read_content(SITE / "models", weights))


def new_version(root: Path, model: ShardedModel, shard: int) -> ShardedModel:
    """The same model, published into ``root``, with the lowest bit of one weight changed in a shard."""
    content = bytearray(model.content)
    size = model.shards[0].decoded_bytes
    content[size * (shard % SHARDS) + size // 2] ^= 1
    return publish_sharded(root, model.entry, bytes(content))


def publish_sharded(root: Path, built: Model, content: bytes) -> ShardedModel:
    """Publish ``built`` for the CPU alone, with ``content`` for its weights."""
    roles = built.files_for("wasm", DTYPE)
    packed = root / "packed"
    packed.mkdir(parents=True, exist_ok=True)
    others = [*roles["tokenizer"], *roles["graph"]]
    for file in others:
        shutil.copyfile(SITE / "models" / file.path, packed / Path(file.path).name)
    size = -(-len(content) // SHARDS)
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    files = [*others, *(pack_shard(piece, packed) for piece in pieces)]
    whole = built.devices["wasm"]
    paths = {DTYPE: [file.path for file in files]}
    wasm = replace(whole, files=paths, sizes={DTYPE: whole.sizes[DTYPE]}, surrogates={})
    entry = replace(built, default_dtype=DTYPE, files=files, devices={"wasm": wasm})
    catalog.publish(root / "models", {ID: (entry, packed)})
    return ShardedModel(root / "models", entry, content)


def pack_shard(content: bytes, output: Path) -> File:
    """As ``pesoleve.pack`` does, and quicker."""
    wire = zstandard.compress(content, 1)
    sha256 = hashlib.sha256(wire).hexdigest()
    name = f"weights-{sha256[:16]}.zst"
    (output / name).write_bytes(wire)
    return File("weights", f"{ID}/{name}", DTYPE, "zstd", len(wire), len(content), sha256)
