"""Under fire: every fault, at the first, a middle and the last shard, ends in the right content or in a
clear error, with nothing verified fetched twice and nothing corrupt kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from pesoleve_worker.catalog import File

from .fault_cases import AT, RECOVERED, REFUSED, VARIANTS
from .faults import Fault
from .faulty_server import FaultyServer, serve_faulty
from .files_worker import FilesWorker
from .sharded_model import SHARDS, ShardedModel, new_version
from .stored import clear, expect_sound, expect_whole, held_bytes

POSITIONS = {"first": 0, "middle": SHARDS // 2, "last": SHARDS - 1}


@pytest.fixture(scope="module")
def only_page(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Page]:
    with browser.new_context(**browser_context_args) as context:
        yield context.new_page()


@pytest.fixture
def worker(
    only_page: Page, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> Iterator[FilesWorker]:
    """In a page that has been here before, and nothing on the disk."""
    worker = FilesWorker(only_page, faulty[0], sharded)
    yield worker
    worker.stop()
    clear(only_page)


def at_positions(cases: Iterable[str]) -> pytest.MarkDecorator:
    pairs = [(n, p) for n in cases for p in POSITIONS if n not in VARIANTS or p == "middle"]
    return pytest.mark.parametrize(("name", "shard"), pairs, indirect=["shard"])


@pytest.fixture
def shard(request: pytest.FixtureRequest, sharded: ShardedModel) -> File:
    return sharded.shards[POSITIONS[request.param]]


def expect_sent_once(server: FaultyServer, files: list[File]) -> None:
    assert {file.path: server.sent(file.path) for file in files} == {
        file.path: file.bytes for file in files
    }


@at_positions(RECOVERED)
def test_it_recovers(
    worker: FilesWorker, server: FaultyServer, sharded: ShardedModel, shard: File, name: str
) -> None:
    case = RECOVERED[name]
    server.plan = case.plan(shard.path)
    answer = worker.prepare()
    assert answer.get("error") is None
    assert answer["weights"] == sharded.sha256
    assert answer["store"] == {"kind": "opfs", "reason": None}
    expect_whole(worker.page, sharded.files)

    assert all(fault.met for fault in server.plan)
    expect_sent_once(server, [file for file in sharded.files if file != shard])
    requests = server.requests(shard.path)
    assert len(requests) == case.requests
    if case.requests > 1:
        assert requests[1].at - requests[0].at >= case.waits
    # A browser drops what it has not handed over when the connection breaks; that alone comes again.
    lost = 0
    if "cut" in name:
        for before, after in pairwise(requests):
            assert before.first < after.first <= before.first + before.sent
            assert after.status == 206
            lost += before.first + before.sent - after.first
    assert server.sent(shard.path) == shard.bytes + case.twice(shard.bytes) + lost
    (told,) = [file for file in answer["files"] if file["path"] == shard.path]
    assert told["from"] == "network"
    assert shard.bytes <= told["bytes"] <= server.sent(shard.path)


@at_positions(REFUSED)
def test_it_says_what_is_wrong_and_goes_on_from_there(
    worker: FilesWorker, server: FaultyServer, sharded: ShardedModel, shard: File, name: str
) -> None:
    case = REFUSED[name]
    server.plan = case.plan(shard.path)
    error = worker.prepare(patience=case.patience)["error"]
    assert (error["code"], error["retryable"]) == (case.code, case.retryable)
    assert error["phase"] == "weights"
    assert shard.path in error["message"]
    assert case.says in error["message"]
    asked = server.requests(shard.path)
    # Bytes that were lost with a cut connection are progress to the next, and a reason for one more.
    assert len(asked) == case.requests or (len(asked) > case.requests and "Content-Length" in name)

    expect_sound(worker.page, sharded.files)
    there = held_bytes(worker.page, sharded.files)
    assert there[shard.path] < shard.bytes
    server.recover()
    answer = worker.prepare()
    assert answer.get("error") is None
    assert answer["weights"] == sharded.sha256
    for file in sharded.files:
        assert server.sent(file.path) <= file.bytes - there[file.path], file
    assert server.sent(shard.path) > 0
    expect_whole(worker.page, sharded.files)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_stale_catalog(page: Page, sharded: ShardedModel, tmp_path: Path, position: str) -> None:
    """It names a shard that is gone. With the new one, that shard alone is fetched."""
    newer = new_version(tmp_path, sharded, POSITIONS[position])
    (gone,) = set(sharded.files) - set(newer.files)
    (come,) = set(newer.files) - set(sharded.files)
    with serve_faulty(newer.folder) as (site, server):
        worker = FilesWorker(page, site, sharded)
        error = worker.prepare()["error"]
        assert (error["code"], error["retryable"]) == ("download_failed", False)
        assert f"{gone.path} answered 404: it is in the catalog" in error["message"]
        expect_sound(worker.page, sharded.files)
        there = held_bytes(worker.page, newer.files)
        server.recover()
        worker.model = newer
        answer = worker.prepare()
    assert answer["weights"] == newer.sha256
    assert newer.sha256 != sharded.sha256
    for file in newer.files:
        assert server.sent(file.path) <= file.bytes - there[file.path], file
    assert server.sent(come.path) == come.bytes


def test_waits_grow_and_vary(page: Page, faulty: tuple[str, FaultyServer]) -> None:
    """Exponential backoff with full jitter: each wait is anything up to twice the longest before it."""
    page.goto(f"{faulty[0]}examples/embed.html")
    waits = page.evaluate(
        """async () => {
          const { attempts } = await import(new URL('../worker/retry.js', location.href));
          const after = globalThis.setTimeout;
          const waits = [];
          globalThis.setTimeout = (work, wait) => {
            waits.push(wait);
            return after(work, 0);
          };
          for (const chance of [0.999, 0.5, 0]) {
            Math.random = () => chance;
            const attempt = attempts({ attempts: 6, firstDelay: 0.5 });
            const error = new Error('again');
            let given = null;
            while (given === null) given = await attempt.next(error).then(() => null, (e) => e);
            if (given !== error) throw given;
          }
          return waits;
        }"""
    )
    longest = [500, 1000, 2000, 4000, 8000]
    assert waits == pytest.approx([c * wait for c in (0.999, 0.5, 0) for wait in longest])


def test_the_faults_are_real(page: Page, sharded: ShardedModel) -> None:
    """The server does to a connection what it says."""
    path = sharded.shards[0].path
    fetching = """async ({ path, range }) => {
      const headers = range === null ? {} : { Range: range };
      const url = new URL(`../models/${path}`, location.href);
      const response = await fetch(url, { headers, cache: 'no-store' });
      const { status } = response;
      const length = Number(response.headers.get('Content-Length'));
      const body = await response.arrayBuffer().then((b) => new Uint8Array(b), ({ name }) => name);
      const sizes = typeof body === 'string' ? [body] : [body.length, body[0], body.at(-1)];
      return [status, length, ...sizes];
    }"""
    content = (sharded.folder / path).read_bytes()
    size = len(content)
    expected: dict[str, tuple[Fault, str | None, list[object]]] = {
        "none": (Fault("cut", "nothing"), None, [200, size, size, content[0], content[-1]]),
        "cut": (Fault("cut", path, after=AT), None, [200, size, "TypeError"]),
        "corrupt": (Fault("corrupt", path), None, [200, size, size, content[0] ^ 1, content[-1]]),
        "padded": (Fault("padded", path, after=AT), None, [200, size, size, content[0], 0]),
        "short": (Fault("short", path, after=AT), None, [200, AT, AT, content[0], content[AT - 1]]),
        "range": (
            Fault("cut", "nothing"),
            f"bytes={AT}-",
            [206, *[size - AT] * 2, content[AT], content[-1]],
        ),
        "wrong_range": (
            Fault("wrong_range", path),
            f"bytes={AT}-",
            [206, *[size - AT + 1000] * 2, content[AT - 1000], content[-1]],
        ),
        "no_ranges": (
            Fault("no_ranges", path),
            f"bytes={AT}-",
            [200, size, size, content[0], content[-1]],
        ),
    }
    with serve_faulty(sharded.folder) as (site, server):
        page.goto(f"{site}examples/embed.html")
        for name, (fault, range_, wanted) in expected.items():
            server.plan = [fault]
            assert page.evaluate(fetching, {"path": path, "range": range_}) == wanted, name
            assert fault.met == (fault.path == path)
