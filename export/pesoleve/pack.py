"""Files as they travel: compressed, hashed, and named by their content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import zstandard

from pesoleve_worker.catalog import File, Role

SAMPLE = 4 << 20
SHARD_BYTES = 15 << 20
"""Of content: what does not compress at all still stays below 16 MiB on the wire. Cut at fixed places,
so that a new version of a model of the same shape changes only the shards whose weights changed."""

THREADS = 2
"""Fixed: zstd's output depends on whether it has workers, and the name depends on the output."""

MATCHES = zstandard.ZstdCompressionParameters.from_level(
    19, threads=THREADS, write_content_size=True, write_checksum=False
)
ENTROPY = zstandard.ZstdCompressionParameters.from_level(
    1,
    strategy=zstandard.STRATEGY_FAST,
    min_match=7,
    hash_log=6,
    threads=THREADS,
    write_content_size=True,
    write_checksum=False,
)
"""Level 19 finds matches in anything; where there are none to find, in levels of a fine quantization,
they cost more than they save, and entropy coding alone is smaller by up to a tenth."""


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
    compressor = _compressor(content)
    files = []
    for start in range(0, max(1, len(content)), shard_bytes):
        shard = content[start : start + shard_bytes]
        wire = compressor.compress(shard)
        sha256 = hashlib.sha256(wire).hexdigest()
        name = f"{role}-{sha256[:16]}.zst"
        (output / name).write_bytes(wire)
        path = f"{model_id}/{name}"
        files.append(File(role, path, dtype, "zstd", len(wire), len(shard), sha256))
    return files


def _compressor(content: bytes) -> zstandard.ZstdCompressor:
    """The one that makes least of a sample from the middle: each takes a minute for a whole model."""
    middle = max(0, (len(content) - SAMPLE) // 2)
    sample = content[middle : middle + SAMPLE]
    sizes = {
        len(zstandard.ZstdCompressor(compression_params=p).compress(sample)): p
        for p in (ENTROPY, MATCHES)
    }
    return zstandard.ZstdCompressor(compression_params=sizes[min(sizes)])


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
