"""Headers of files that the formats' own libraries wrote, from a disk and through ranges."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from pesoleve.errors import SourceError
from pesoleve.headers import read_header
from pesoleve.weigh import STORED, weigh_source

ROWS, WIDTH, VOCABULARY = 64, 256, 320
BERT = {
    "model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "intermediate_size": 1536,
    "num_hidden_layers": 6, "num_attention_heads": 12, "max_position_embeddings": 512,
}  # fmt: skip
Q8_ROW = WIDTH // 32 * 34


@pytest.fixture
def safetensors(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(
        {
            "embeddings.word_embeddings.weight": np.zeros((VOCABULARY, WIDTH), np.float16),
            "layer.weight": np.zeros((ROWS, WIDTH), np.float32),
            "layer.bias": np.zeros(ROWS, np.float32),
            "embeddings.position_ids": np.zeros((1, 12), np.int64),
        },
        path,
    )
    return path


def write_gguf(path: Path, family: str = "llama") -> Path:
    writer = gguf.GGUFWriter(str(path), family)
    writer.add_block_count(3)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(512)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(64)
    writer.add_context_length(2048)
    writer.add_array("tokenizer.ggml.tokens", ["a"] * 1000)
    table = gguf.quants.quantize(
        np.zeros((VOCABULARY, WIDTH), np.float32), gguf.GGMLQuantizationType.Q8_0
    )
    writer.add_tensor("token_embd.weight", table, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((ROWS, WIDTH), np.float16))
    writer.add_tensor("output_norm.weight", np.zeros(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "model.gguf")


class Ranges(SimpleHTTPRequestHandler):
    """Answers ranges, and 404."""

    sent: list[int] = []  # noqa: RUF012  one list for all requests, read by the test

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.exists():
            self.send_error(404)
            return
        if "Range" not in self.headers:
            super().do_GET()
            return
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        content = path.read_bytes()[int(first) : int(last) + 1]
        self.sent.append(len(content))
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class NoRanges(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=[Ranges])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    handler = partial(request.param, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_safetensors_header(safetensors: Path) -> None:
    header = read_header(str(safetensors))
    kinds = {tensor.name: tensor.kind for tensor in header.tensors}
    assert kinds == {
        "embeddings.word_embeddings.weight": "embedding", "layer.weight": "matrix",
        "layer.bias": "vector",
    }  # fmt: skip
    assert header.stored_bytes == 2 * VOCABULARY * WIDTH + 4 * ROWS * WIDTH + 4 * ROWS + 12 * 8
    weighed = weigh_source(str(safetensors))
    assert weighed.parameters.total == VOCABULARY * WIDTH + ROWS * WIDTH + ROWS
    assert weighed.dtypes["q8_0"].kv_bytes_per_token is None


def test_a_gguf_header(gguf_file: Path) -> None:
    weighed = weigh_source(str(gguf_file))
    assert weighed.parameters.total == VOCABULARY * WIDTH + ROWS * WIDTH + WIDTH
    assert weighed.parameters.embedding == VOCABULARY * WIDTH
    assert weighed.dtypes[STORED].weight_bytes == VOCABULARY * Q8_ROW + 2 * ROWS * WIDTH + 4 * WIDTH
    assert weighed.dtypes[STORED].kv_bytes_per_token == 2 * 3 * 2 * 64 * 4


def test_gemma_3_has_two_names(tmp_path: Path) -> None:
    """One in GGUF and one in transformers; it turns its windows by angles of their own."""
    gemma = weigh_source(str(write_gguf(tmp_path / "gemma.gguf", "gemma3"))).beside
    llama = weigh_source(str(write_gguf(tmp_path / "llama.gguf", "llama"))).beside
    assert gemma is not None
    assert llama is not None
    assert gemma.rotary == 2 * llama.rotary > 0


@pytest.mark.parametrize("query", ["", "?download=true"])
def test_by_ranges_only(address: str, gguf_file: Path, safetensors: Path, query: str) -> None:
    weights = 8 * 2**20
    for file, most in ((gguf_file, 2 * 2**20), (safetensors, 4096)):
        with file.open("ab") as longer:
            longer.truncate(file.stat().st_size + weights)
        Ranges.sent.clear()
        there = weigh_source(f"{address}/{file.name}{query}")
        assert there == weigh_source(str(file))
        assert 0 < sum(Ranges.sent) < most


def test_a_configuration_at_an_address(address: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    assert weigh_source(f"{address}/config.json") == weigh_source(str(tmp_path))
    with pytest.raises(SourceError, match=r"none\.json cannot be read: .*404"):
        weigh_source(f"{address}/none.json")


@pytest.mark.parametrize("address", [NoRanges], indirect=True)
def test_a_server_without_ranges_is_not_asked_for_the_whole_file(
    address: str, safetensors: Path
) -> None:
    with pytest.raises(SourceError, match="answers no ranges"):
        read_header(f"{address}/{safetensors.name}")


def test_what_is_not_there(address: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="404"):
        read_header(f"{address}/none.gguf")
    with pytest.raises(SourceError, match="cannot be read"):
        read_header(str(tmp_path / "none.safetensors"))


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 60, b"\xff" * 40, b"\x08\0\0\0\0\0\0\0notjson!"],
)
def test_a_damaged_header_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"bad\.gguf is no GGUF or safetensors file, or its header"):
        read_header(str(path))


def test_a_header_cut_short(gguf_file: Path) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes()[:200])
    with pytest.raises(SourceError, match="ends in the middle of its header"):
        read_header(str(gguf_file))
