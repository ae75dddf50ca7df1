"""Files as they travel: compressed, hashed, and named by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import zstandard

from pesoleve_worker.catalog import File, Role

LEVEL = 19
THREADS = 2
"""Fixed: zstd's output depends on whether it has workers, and the name depends on the output."""


def pack(content: bytes, role: Role, dtype: str | None, model_id: str, output: Path) -> File:
    """Write ``content`` compressed into ``output`` and return its catalog entry."""
    compressor = zstandard.ZstdCompressor(
        level=LEVEL, threads=THREADS, write_content_size=True, write_checksum=False
    )
    wire = compressor.compress(content)
    sha256 = hashlib.sha256(wire).hexdigest()
    name = f"{role}-{sha256[:16]}.zst"
    (output / name).write_bytes(wire)
    return File(role, f"{model_id}/{name}", dtype, "zstd", len(wire), len(content), sha256)


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
