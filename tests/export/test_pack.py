from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pesoleve.pack import (
    ENTROPY,
    QUICK,
    SHARD_BYTES,
    THOROUGH,
    gather,
    pack,
    pack_tokenizer,
    read_content,
    read_list,
    unpack,
    write_list,
)
from pesoleve_worker.catalog import File

CONTENT = b"weights " * 5000


@pytest.fixture
def packed(tmp_path: Path) -> File:
    return one(pack(CONTENT, "weights", "q4", "tiny", tmp_path))


def one(files: list[File]) -> File:
    (file,) = files
    return file


def wire_of(file: File, folder: Path) -> bytes:
    return (folder / Path(file.path).name).read_bytes()


def described(file: File, wire: bytes) -> File:
    """``file`` as if the catalog described ``wire``."""
    return replace(file, bytes=len(wire), sha256=hashlib.sha256(wire).hexdigest())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=5000))
def test_what_is_packed_unpacks_to_itself(tmp_path: Path, content: bytes) -> None:
    file = one(pack(content, "graph", "fp32", "tiny", tmp_path))
    assert file.decoded_bytes == len(content)
    assert unpack(wire_of(file, tmp_path), file) == content


def test_the_entry_describes_what_was_written(packed: File, tmp_path: Path) -> None:
    wire = wire_of(packed, tmp_path)
    assert packed.bytes == len(wire) < len(CONTENT)
    assert packed.sha256 == hashlib.sha256(wire).hexdigest()
    assert re.fullmatch(r"tiny/weights-[0-9a-f]{16}\.zst", packed.path)
    assert packed.sha256[:16] in packed.path
    assert (packed.role, packed.dtype, packed.codec) == ("weights", "q4", "zstd")


def test_the_name_is_stable_and_follows_the_content(packed: File, tmp_path: Path) -> None:
    again = one(pack(CONTENT, "weights", "q4", "tiny", tmp_path))
    other = one(pack(CONTENT + b"!", "weights", "q4", "tiny", tmp_path))
    assert again == packed
    assert other.path != packed.path


def test_a_large_content_packs_the_same_every_time(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000  # several jobs for zstd's workers
    assert pack(content, "weights", "q8", "tiny", tmp_path) == pack(
        content, "weights", "q8", "tiny", tmp_path
    )


def test_a_truncated_file_is_refused_with_both_sizes(packed: File, tmp_path: Path) -> None:
    wire = wire_of(packed, tmp_path)
    said = f"{packed.path} should be {len(wire):,} bytes, and is {len(wire) - 3:,}"
    with pytest.raises(ValueError, match=re.escape(said)):
        unpack(wire[:-3], packed)


def test_a_changed_byte_is_refused(packed: File, tmp_path: Path) -> None:
    wire = bytearray(wire_of(packed, tmp_path))
    wire[len(wire) // 2] ^= 1
    with pytest.raises(ValueError, match=rf"{packed.path} does not have the sha256"):
        unpack(bytes(wire), packed)


def test_a_whole_file_that_is_not_zstd_is_refused(packed: File) -> None:
    wire = b"not zstd at all"
    with pytest.raises(ValueError, match=rf"{packed.path} cannot be decoded"):
        unpack(wire, described(packed, wire))


def test_another_decoded_size_is_refused(packed: File, tmp_path: Path) -> None:
    wrong = replace(packed, decoded_bytes=packed.decoded_bytes + 1)
    said = rf"{packed.path} should decode to {wrong.decoded_bytes:,} bytes, not {len(CONTENT):,}"
    with pytest.raises(ValueError, match=said):
        unpack(wire_of(packed, tmp_path), wrong)


def test_a_cut_stream_that_the_catalog_describes_is_refused(packed: File, tmp_path: Path) -> None:
    wire = wire_of(packed, tmp_path)[:-4]
    with pytest.raises(ValueError, match=packed.path):
        unpack(wire, described(packed, wire))


def test_a_stream_that_does_not_tell_its_size_is_refused(packed: File) -> None:
    wire = zstandard.ZstdCompressor(write_content_size=False).compress(CONTENT)
    with pytest.raises(ValueError, match=packed.path):
        unpack(wire, described(packed, wire))


def test_identity_is_taken_as_it_is(packed: File) -> None:
    plain = replace(described(packed, b"plain"), codec="identity", decoded_bytes=5)
    assert unpack(b"plain", plain) == b"plain"


def test_the_tokenizer_is_packed_without_truncation_and_padding(tmp_path: Path) -> None:
    given = {"model": {"vocab": {"ão": 0}}, "truncation": {"max_length": 6}, "padding": {"length": 6}}
    pack_tokenizer(given, "tiny", tmp_path)
    (file,) = read_list(tmp_path)
    assert (file.role, file.dtype) == ("tokenizer", None)
    assert json.loads(unpack(wire_of(file, tmp_path), file)) == {
        **given,
        "truncation": None,
        "padding": None,
    }


@pytest.mark.parametrize("parameters", [ENTROPY, QUICK, THOROUGH], ids=["entropy", "quick", "thorough"])
def test_what_does_not_compress_grows_by_less_than_a_shard_has_room_for(
    parameters: zstandard.ZstdCompressionParameters,
) -> None:
    content = random.Random(0).randbytes(1 << 20)
    wire = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
    assert 0 < len(wire) - len(content) < ((16 << 20) - SHARD_BYTES) * len(content) // SHARD_BYTES


def test_each_shard_is_compressed_by_what_suits_it(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    random_numbers = random.Random(0)
    noise = bytes(random_numbers.choices(range(16), k=1 << 20))
    repeated = random_numbers.randbytes(1 << 16) * 16
    noise_file, repeated_file = pack(
        noise + repeated, "weights", "q4", "tiny", tmp_path / "tiny", 1 << 20
    )
    alone = [
        len(zstandard.ZstdCompressor(compression_params=parameters).compress(noise))
        for parameters in (ENTROPY, QUICK, THOROUGH)
    ]
    assert noise_file.bytes == min(alone) < 0.51 * len(noise)
    assert repeated_file.bytes < len(repeated) / 15


def test_what_does_not_compress_stays_below_16_mib_a_shard(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    content = random.Random(0).randbytes(2 * SHARD_BYTES + 12345)
    files = pack(content, "weights", "q4", "tiny", tmp_path / "tiny")
    assert [file.decoded_bytes for file in files] == [SHARD_BYTES, SHARD_BYTES, 12345]
    assert all(file.decoded_bytes < file.bytes <= 16 << 20 for file in files)
    assert read_content(tmp_path, files) == content


def test_one_byte_in_the_middle_of_40_mib_changes_one_shard(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    content = bytearray(40 << 20)  # zeros, which compress in a moment
    for n in range(3):
        content[n * SHARD_BYTES] = n + 1  # a shard like another would be the same file
    before = pack(bytes(content), "weights", "q4", "tiny", tmp_path / "tiny")
    content[len(content) // 2] ^= 1
    after = pack(bytes(content), "weights", "q4", "tiny", tmp_path / "tiny")
    assert len({file.path for file in before}) == 3
    assert [old != new for old, new in zip(before, after, strict=True)] == [False, True, False]
    assert read_content(tmp_path, after) == bytes(content)


def test_a_change_changes_its_own_shard_alone(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    content = bytearray(random.Random(0).randbytes(50_000))
    before = pack(bytes(content), "weights", "q4", "tiny", tmp_path / "tiny", shard_bytes=10_000)
    content[24_000] ^= 1
    after = pack(bytes(content), "weights", "q4", "tiny", tmp_path / "tiny", shard_bytes=10_000)
    changed = [old != new for old, new in zip(before, after, strict=True)]
    assert changed == [False, False, True, False, False]
    assert read_content(tmp_path, after) == bytes(content)


def test_shards_in_another_order_are_another_content(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    files = pack(bytes(range(250)), "weights", "q4", "tiny", tmp_path / "tiny", shard_bytes=100)
    assert read_content(tmp_path, files[::-1]) != bytes(range(250))


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = [
        one(pack(bytes([n]) * 9, "weights", dtype, "tiny", tmp_path))
        for n, dtype in enumerate(["q4", None])
    ]
    write_list(files, tmp_path)
    assert read_list(tmp_path) == files


def test_gathering_copies_what_is_packed_and_nothing_else(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "out")]
    for folder in folders:
        folder.mkdir()
    files = [
        *pack(b"one", "graph", None, "tiny", folders[0]),
        *pack(b"two", "weights", "q4", "tiny", folders[1]),
    ]
    write_list(files[:1], folders[0])
    gather(folders[:2], folders[2])
    assert {path.name for path in folders[2].iterdir()} == {Path(file.path).name for file in files}
    for file in files:
        assert unpack(wire_of(file, folders[2]), file) in (b"one", b"two")
