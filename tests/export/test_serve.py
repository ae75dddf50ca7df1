"""Where the development server serves, and the headers on all it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient

from pesoleve.errors import ExportError
from pesoleve.serve import create_app

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def client(site: Path, *, base_path: str = "/", isolation: bool = True) -> TestClient:
    return TestClient(create_app(site, base_path=base_path, isolation=isolation))


def every_kind_of_response(site: Path, *, isolation: bool) -> dict[str, Response]:
    visitor = client(site, isolation=isolation)
    etag = visitor.get("/js/page.mjs").headers["ETag"]
    archive = "/models/tiny/weights-0123456789abcdef.zst"
    return {
        "200": visitor.get("/"),
        "200 compressed": visitor.get("/js/page.mjs", headers={"Accept-Encoding": "br"}),
        "206": visitor.get(archive, headers={"Range": "bytes=0-3"}),
        "304": visitor.get("/js/page.mjs", headers={"If-None-Match": etag}),
        "307": visitor.get("/docs", follow_redirects=False),
        "404": visitor.get("/nothing.js"),
        "405": visitor.post("/"),
        "416": visitor.get(archive, headers={"Range": "bytes=99999999-"}),
    }


def test_the_page_is_served(site: Path) -> None:
    for path in ("/", "/index.html"):
        answer = client(site).get(path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.text == (site / "index.html").read_text()


@pytest.mark.parametrize("isolation", [True, False])
def test_security_headers_are_on_every_response(site: Path, isolation: bool) -> None:
    for kind, answer in every_kind_of_response(site, isolation=isolation).items():
        assert str(answer.status_code) == kind.split()[0]
        assert answer.headers["X-Content-Type-Options"] == "nosniff", kind
        assert answer.headers["Referrer-Policy"] == "no-referrer", kind
        assert len(answer.headers.get_list("Content-Security-Policy")) == 1, kind


def test_the_policy_allows_wasm_and_nothing_from_elsewhere(site: Path) -> None:
    policy = client(site).get("/").headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert directives["frame-ancestors"] == "'none'"
    assert not [value for value in directives.values() if "http" in value or "*" in value]
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy


def test_isolation_is_on_every_response_when_it_is_wanted(site: Path) -> None:
    for kind, answer in every_kind_of_response(site, isolation=True).items():
        assert {name: answer.headers.get(name) for name in ISOLATION} == ISOLATION, kind


def test_isolation_is_on_none_when_it_is_not(site: Path) -> None:
    for kind, answer in every_kind_of_response(site, isolation=False).items():
        assert not [name for name in ISOLATION if name in answer.headers], kind


@pytest.mark.parametrize("base_path", ["/peso-leve/", "peso-leve", "/peso-leve"])
def test_the_site_may_live_below_a_path(site: Path, base_path: str) -> None:
    visitor = client(site, base_path=base_path)
    assert visitor.get("/peso-leve/").text == (site / "index.html").read_text()
    assert visitor.get("/peso-leve/js/page.mjs").status_code == 200
    assert visitor.get("/peso-leve").url.path == "/peso-leve/"
    for outside in ("/", "/js/page.mjs", "/peso-leve-two/"):
        answer = visitor.get(outside)
        assert answer.status_code == 404
        assert "Content-Security-Policy" in answer.headers


def test_a_base_path_may_be_deep(site: Path) -> None:
    assert client(site, base_path="/a/b").get("/a/b/index.html").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/js/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/link.txt",
    ],
)
def test_nothing_outside_the_site_is_served(site: Path, path: str) -> None:
    secret = site.parent / "secret.txt"
    secret.write_text("secret")
    (site / "link.txt").symlink_to(secret)
    answer = client(site).get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/a%00b", "/" + "x" * 5000])
def test_a_name_that_no_file_can_have_is_not_found(site: Path, path: str) -> None:
    assert client(site).get(path).status_code == 404


def test_a_directory_without_a_page_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"{tmp_path} has no index\.html"):
        create_app(tmp_path)
