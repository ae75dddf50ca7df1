"""Interrupted: the next load goes on from the byte that was reached, and from nothing that is wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext

from pesoleve_worker.catalog import File

from .fault_cases import AT
from .faults import CLOSES, Fault
from .faulty_server import FaultyServer
from .files_worker import FilesWorker
from .lasting_browser import OpenProfile
from .sharded_model import ShardedModel
from .stored import expect_whole, held_bytes, spoil, until_held
from .visit import Visit

HANGS = 30
"""Seconds that a page waits for a byte here: longer than any test."""


def interrupt(
    context: BrowserContext, faulty: tuple[str, FaultyServer], model: ShardedModel, *more: Fault
) -> tuple[FilesWorker, File]:
    """Leave a page when half of a shard is there, and all others are."""
    site, server = faulty
    shard = model.shards[2]
    stall = Fault("stall", shard.path, after=AT)
    server.plan = [stall, *more]
    worker = FilesWorker(context.new_page(), site, model)
    worker.begin(patience={"stall": HANGS})
    for file in model.files:
        until_held(worker.page, file, AT if file == shard else None)
    assert not stall.left.is_set()
    return worker, shard


def expect_rest_alone(server: FaultyServer, shard: File) -> None:
    """Just the missing bytes were asked for, if the file is what it was."""
    (asked,) = [asked for asked in server.asked if asked.path.endswith(".zst")]
    assert asked.path.endswith(shard.path)
    assert asked.range == f"bytes={AT}-"
    assert asked.if_range is not None
    assert (asked.status, asked.sent) == (206, shard.bytes - AT)


def test_a_closed_tab(
    context: BrowserContext, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    worker, shard = interrupt(context, faulty, sharded)
    (stall,) = faulty[1].plan
    worker.page.close()
    assert stall.left.wait(CLOSES)
    faulty[1].recover()
    again = FilesWorker(context.new_page(), faulty[0], sharded)
    answer = again.prepare()
    assert answer["weights"] == sharded.sha256
    told = {file["path"]: (file["from"], file["bytes"]) for file in answer["files"]}
    rest = {file.path: ("disk", 0) for file in sharded.files}
    assert told == rest | {shard.path: ("network", shard.bytes - AT)}
    expect_rest_alone(faulty[1], shard)
    expect_whole(again.page, sharded.files)


def test_a_killed_browser(
    open_profile: OpenProfile, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    site, server = faulty
    with open_profile() as browser:
        _, shard = interrupt(browser.context, faulty, sharded)
        browser.kill()
    server.recover()
    with open_profile() as browser:
        visit = Visit(browser.context.new_page())
        visit.open_blank(site)
        stats = visit.run_module(
            "const model = await pesoleve.load('minilm-l6', { device: 'wasm' }); return model.stats;"
        )
        assert stats["storage"] == {"kind": "opfs", "reason": None}
        assert stats["bytes"]["model"] == shard.bytes - AT
        expect_rest_alone(server, shard)
        expect_whole(visit.page, sharded.files)


@pytest.mark.parametrize("reason", ["server ignores ranges", "another ETag"])
def test_a_server_that_sends_the_whole_again(
    context: BrowserContext, faulty: tuple[str, FaultyServer], sharded: ShardedModel, reason: str
) -> None:
    path = sharded.shards[2].path
    old = [Fault("etag", path, value='"old"')] if reason == "another ETag" else []
    worker, shard = interrupt(context, faulty, sharded, *old)
    worker.stop()
    server = faulty[1]
    server.recover()
    if not old:
        server.plan = [Fault("no_ranges", path, times=None)]
    answer = worker.prepare()
    assert answer["weights"] == sharded.sha256
    (asked,) = [asked for asked in server.asked if asked.path.endswith(".zst")]
    assert asked.range == f"bytes={AT}-"
    assert asked.if_range == '"old"' if old else asked.if_range is not None
    assert (asked.status, asked.sent) == (200, shard.bytes)
    expect_whole(worker.page, sharded.files)


def test_a_half_that_went_bad(
    context: BrowserContext, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    """The rest comes, and as the two are not the file, all of it, once."""
    worker, shard = interrupt(context, faulty, sharded)
    worker.stop()
    faulty[1].recover()
    spoil(worker.page, shard, AT // 2)
    answer = worker.prepare()
    assert answer["weights"] == sharded.sha256
    rest, again = [asked for asked in faulty[1].asked if asked.path.endswith(".zst")]
    assert (rest.range, rest.sent) == (f"bytes={AT}-", shard.bytes - AT)
    assert (again.range, again.sent) == (None, shard.bytes)
    expect_whole(worker.page, sharded.files)


@pytest.mark.parametrize("phase", ["catalog", "weights", "session"])
def test_a_signal_stops_a_load_at_once(
    visit: Visit, faulty: tuple[str, FaultyServer], sharded: ShardedModel, phase: str
) -> None:
    site, server = faulty
    shard = sharded.shards[2]
    stall = Fault("stall", shard.path, after=AT)
    silent = Fault("stall", "/catalog.json")
    server.plan = {"catalog": [silent], "weights": [stall], "session": []}[phase]
    visit.open_blank(site)
    visit.page.evaluate(
        """async (phase) => {
          const pesoleve = await import(new URL('../js/pesoleve.js', location.href));
          const abort = new AbortController();
          window.aborting = abort;
          window.reached = new Promise((resolve) => {
            if (phase === 'catalog') resolve();
            window.ended = pesoleve.load('minilm-l6', {
              device: 'wasm',
              signal: abort.signal,
              onProgress: (progress) => progress.phase === phase && resolve(),
            }).then(() => 'loaded', ({ code }) => code);
          });
        }""",
        phase,
    )
    if phase == "catalog":
        assert silent.reached.wait(CLOSES)
    if phase == "weights":
        until_held(visit.page, shard, AT)
    code, seconds = visit.page.evaluate(
        """async () => {
          await window.reached;
          const begun = performance.now();
          window.aborting.abort();
          return [await window.ended, (performance.now() - begun) / 1000];
        }"""
    )
    assert code == "aborted"
    assert seconds < 1
    if phase == "weights":
        assert stall.left.wait(CLOSES), "the connection is still open"
        there = held_bytes(visit.page, sharded.files)
        assert there[shard.path] == AT
        server.recover()
        worker = FilesWorker(visit.page, site, sharded)
        assert worker.prepare()["weights"] == sharded.sha256
        assert server.sent(shard.path) == shard.bytes - AT
