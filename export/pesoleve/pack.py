"""Files as they travel: compressed, hashed, and named by their content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import zstandard

from pesoleve_worker.catalog import File, Role

SHARD_BYTES = 15 << 20
"""Of content: what does not compress at all still stays below 16 MiB on the wire. Cut at fixed places,
so that a new version of a model of the same shape changes only the shards whose weights changed."""

SAMPLE = 1 << 20
WORKERS = 2
"""Shards compressed at once. Not threads of zstd, whose output would depend on them."""

ENTROPY = zstandard.ZstdCompressionParameters.from_level(
    1,
    strategy=zstandard.STRATEGY_FAST,
    min_match=7,
    hash_log=6,
    write_content_size=True,
    write_checksum=False,
)
QUICK, THOROUGH = (
    zstandard.ZstdCompressionParameters.from_level(level, write_content_size=True, write_checksum=False)
    for level in (12, 19)
)
WORTH = 0.99
"""Of what the others make of a sample: a thorough search takes ten times their time, and where there
are none, in the levels of a fine quantization, entropy coding alone is smaller by up to a fifth."""


def pack(
    content: bytes,
    role: Role,
    dtype: str | None,
    model_id: str,
    output: Path,
    shard_bytes: int = SHARD_BYTES,
) -> list[File]:
    """Write ``content`` into ``output``, each shard compressed for itself; return their catalog entries
    in order."""
    shards = [content[at : at + shard_bytes] for at in range(0, max(1, len(content)), shard_bytes)]
    files = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for shard, wire in zip(shards, pool.map(_compress, shards), strict=True):
            sha256 = hashlib.sha256(wire).hexdigest()
            name = f"{role}-{sha256[:16]}.zst"
            (output / name).write_bytes(wire)
            path = f"{model_id}/{name}"
            files.append(File(role, path, dtype, "zstd", len(wire), len(shard), sha256))
    return files


def _compress(shard: bytes) -> bytes:
    """By what makes least of a sample from the middle."""

    def size(parameters: zstandard.ZstdCompressionParameters) -> int:
        return len(zstandard.ZstdCompressor(compression_params=parameters).compress(sample))

    middle = max(0, (len(shard) - SAMPLE) // 2)
    sample = shard[middle : middle + SAMPLE]
    best = min((ENTROPY, QUICK), key=size)
    if size(THOROUGH) < WORTH * size(best):
        best = THOROUGH
    return zstandard.ZstdCompressor(compression_params=best).compress(shard)


def read_content(folder: Path, shards: Iterable[File]) -> bytes:
    """Return the content that the shards make, one after the other; ``folder`` is the catalog's.

    Raises:
        ValueError: when a file is not what the catalog describes.
    """
    return b"".join(unpack((folder / file.path).read_bytes(), file) for file in shards)


def unpack(wire: bytes, file: File) -> bytes:
    """Return the content of a packed file.

    Raises:
        ValueError: when ``wire`` is not what ``file`` describes.
    """
    if len(wire) != file.bytes:
        raise ValueError(f"{file.path} should be {file.bytes:,} bytes, and is {len(wire):,}")
    if hashlib.sha256(wire).hexdigest() != file.sha256:
        raise ValueError(f"{file.path} does not have the sha256 that the catalog records")
    if file.codec == "identity":
        return wire
    try:
        content = zstandard.ZstdDecompressor().decompress(wire)
    except zstandard.ZstdError as error:
        raise ValueError(f"{file.path} cannot be decoded: {error}") from error
    if len(content) != file.decoded_bytes:
        raise ValueError(
            f"{file.path} should decode to {file.decoded_bytes:,} bytes, not {len(content):,}"
        )
    return content


def pack_tokenizer(tokenizer: dict[str, Any], model_id: str, output: Path) -> None:
    """Pack a decoded ``tokenizer.json``, without truncation and padding: the pipeline's business."""
    text = json.dumps(
        tokenizer | {"truncation": None, "padding": None}, ensure_ascii=False, separators=(",", ":")
    )
    write_list(pack(text.encode(), "tokenizer", None, model_id, output), output)


def write_list(files: list[File], output: Path) -> None:
    """Leave the entries of what was packed into ``output`` beside it."""
    text = json.dumps([asdict(file) for file in files])
    (output / "files.json").write_text(text, encoding="utf-8")


def read_list(output: Path) -> list[File]:
    """Read what ``write_list`` left."""
    text = (output / "files.json").read_text(encoding="utf-8")
    return [File(**value) for value in json.loads(text)]


def gather(packs: Iterable[Path], output: Path) -> None:
    """Copy every packed file of ``packs`` into one directory."""
    for folder in packs:
        for path in folder.glob("*.zst"):
            shutil.copyfile(path, output / path.name)
