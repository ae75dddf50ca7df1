"""The bytes that the development server sends: ranges, encodings, caching."""

from __future__ import annotations

from pathlib import Path

import brotli
import pytest
from starlette.testclient import TestClient

from pesoleve.serve import create_app
from tests.export.conftest import WEIGHTS

ARCHIVE = "/models/tiny/weights-0123456789abcdef.zst"
MODULE = "/js/page.mjs"


@pytest.fixture
def visitor(site: Path) -> TestClient:
    """A client that accepts no encoding unless it says so."""
    return TestClient(create_app(site), headers={"Accept-Encoding": "identity"})


SIZE = len(WEIGHTS)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        ("100000-", 100_000, SIZE),
        ("-16", SIZE - 16, SIZE),
        ("100-99999999", 100, SIZE),
    ],
)
@pytest.mark.parametrize("encodings", ["identity", "br, gzip"])
def test_a_range_of_an_archive_is_of_its_bytes(
    visitor: TestClient, asked: str, start: int, end: int, encodings: str
) -> None:
    headers = {"Range": f"bytes={asked}", "Accept-Encoding": encodings}
    answer = visitor.get(ARCHIVE, headers=headers)
    assert answer.status_code == 206
    assert answer.content == WEIGHTS[start:end]
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert "Content-Encoding" not in answer.headers


def test_a_whole_archive_says_that_it_has_ranges(visitor: TestClient) -> None:
    answer = visitor.get(ARCHIVE)
    assert answer.content == WEIGHTS
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(SIZE)


def test_a_resumed_download_goes_on_while_the_file_is_the_same(visitor: TestClient) -> None:
    etag = visitor.get(ARCHIVE).headers["ETag"]
    answer = visitor.get(ARCHIVE, headers={"Range": "bytes=9-", "If-Range": etag})
    assert (answer.status_code, answer.content) == (206, WEIGHTS[9:])


def test_a_resumed_download_begins_again_when_the_file_is_another(visitor: TestClient) -> None:
    answer = visitor.get(ARCHIVE, headers={"Range": "bytes=9-", "If-Range": '"another"'})
    assert (answer.status_code, answer.content) == (200, WEIGHTS)


def test_a_range_beyond_the_end_is_refused_with_the_size(visitor: TestClient) -> None:
    answer = visitor.get(ARCHIVE, headers={"Range": f"bytes={SIZE}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def raw(visitor: TestClient, path: str, encodings: str) -> tuple[str | None, bytes]:
    """The encoding of a response, and its bytes as they were sent."""
    with visitor.stream("GET", path, headers={"Accept-Encoding": encodings}) as answer:
        return answer.headers.get("Content-Encoding"), b"".join(answer.iter_raw())


@pytest.mark.parametrize("encodings", ["br", "gzip, deflate, br", "gzip, br;q=0.5"])
def test_the_precompressed_file_is_sent_to_those_who_take_it(
    visitor: TestClient, site: Path, encodings: str
) -> None:
    encoding, sent = raw(visitor, MODULE, encodings)
    assert encoding == "br"
    assert sent == (site / "js" / "page.mjs.br").read_bytes()


@pytest.mark.parametrize("encodings", ["identity", "gzip, deflate", "", "gzip, br;q=0", "zebra"])
def test_it_is_not_sent_to_those_who_do_not(visitor: TestClient, site: Path, encodings: str) -> None:
    encoding, sent = raw(visitor, MODULE, encodings)
    assert encoding is None
    assert sent == (site / "js" / "page.mjs").read_bytes()


@pytest.mark.parametrize("path", [MODULE, "/index.html"])
@pytest.mark.parametrize("encodings", ["br", "identity"])
def test_caches_are_told_that_the_encoding_was_chosen(
    visitor: TestClient, path: str, encodings: str
) -> None:
    answer = visitor.get(path, headers={"Accept-Encoding": encodings})
    assert "accept-encoding" in answer.headers.get("Vary", "").lower()


def test_a_range_of_a_precompressed_file_is_of_the_file_itself(visitor: TestClient, site: Path) -> None:
    headers = {"Accept-Encoding": "br", "Range": "bytes=2-5"}
    answer = visitor.get(MODULE, headers=headers)
    assert answer.status_code == 206
    assert "Content-Encoding" not in answer.headers
    assert answer.content == (site / "js" / "page.mjs").read_bytes()[2:6]


def test_text_without_a_precompressed_file_is_compressed_on_the_way(
    visitor: TestClient, site: Path
) -> None:
    for _ in range(2):
        encoding, sent = raw(visitor, "/index.html", "br")
        assert encoding == "br"
        assert brotli.decompress(sent) == (site / "index.html").read_bytes()


def test_an_edit_is_seen_at_once(visitor: TestClient, site: Path) -> None:
    raw(visitor, "/index.html", "br")
    (site / "index.html").write_text("<!doctype html>edited, and longer than it was before")
    for encodings in ("br", "identity"):
        assert "edited" in visitor.get("/index.html", headers={"Accept-Encoding": encodings}).text


def test_an_archive_is_never_compressed_again(visitor: TestClient) -> None:
    assert raw(visitor, ARCHIVE, "br, gzip") == (None, WEIGHTS)


@pytest.mark.parametrize("encodings", ["br", "identity"])
@pytest.mark.parametrize("path", ["/", MODULE, ARCHIVE])
def test_a_file_that_is_known_is_not_sent_again(visitor: TestClient, path: str, encodings: str) -> None:
    headers = {"Accept-Encoding": encodings}
    etag = visitor.get(path, headers=headers).headers["ETag"]
    answer = visitor.get(path, headers={**headers, "If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert visitor.get(path, headers={**headers, "If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize("path", ["/index.html", MODULE])
def test_each_encoding_has_its_own_tag(visitor: TestClient, path: str) -> None:
    tags = {visitor.get(path, headers={"Accept-Encoding": e}).headers["ETag"] for e in ("br", "")}
    assert len(tags) == 2


@pytest.mark.parametrize("path", ["/", MODULE, "/models/catalog.json", "/app.wasm"])
@pytest.mark.parametrize("encodings", ["br", "identity"])
def test_what_may_change_is_always_asked_for(visitor: TestClient, path: str, encodings: str) -> None:
    answer = visitor.get(path, headers={"Accept-Encoding": encodings})
    assert answer.headers["Cache-Control"] == "no-cache"


def test_what_is_named_by_its_content_is_kept_for_good(visitor: TestClient) -> None:
    assert visitor.get(ARCHIVE).headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        (MODULE, "text/javascript"),
        ("/app.wasm", "application/wasm"),
        ("/models/catalog.json", "application/json"),
        ("/style.css", "text/css"),
    ],
)
@pytest.mark.parametrize("encodings", ["br", "identity"])
def test_the_media_type_is_the_same_in_every_encoding(
    visitor: TestClient, path: str, media_type: str, encodings: str
) -> None:
    answer = visitor.get(path, headers={"Accept-Encoding": encodings})
    assert answer.headers["Content-Type"].split(";")[0] == media_type


def test_a_head_has_headers_and_no_body(visitor: TestClient) -> None:
    answer = visitor.head(ARCHIVE)
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.content == b""
