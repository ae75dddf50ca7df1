"""Kept on the device: used again, verified again, and shared by tabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .fault_cases import AT
from .faults import Fault
from .faulty_server import FaultyServer, serve_faulty
from .files_worker import FilesWorker
from .sharded_model import ShardedModel, new_version, publish_sharded
from .stored import expect_whole, held, held_bytes, settled_bytes, spoil, until_held
from .visit import Visit

READY = 120_000
HANGS = {"stall": 30.0}

LOAD = """const model = await pesoleve.load('minilm-l6', { device: 'wasm', ...argument });
  const { vectors } = await model.run(['A man is eating.']);
  await model.dispose();
  return { ...model.stats, length: Math.hypot(...vectors[0]) };"""


def test_a_second_load_fetches_nothing_of_the_model(
    visit: Visit, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    site, server = faulty
    visit.open_blank(site)
    first = visit.run_module(LOAD, {})
    wire = {file.path: file.bytes for file in sharded.files}
    assert server.fetched() == wire
    assert first["bytes"]["model"] == sum(wire.values())
    server.recover()
    visit.open_blank(site)
    second = visit.run_module(LOAD, {})
    assert server.fetched() == {}
    assert second["bytes"]["model"] == 0
    told = {f["path"]: (f["from"], f["wireBytes"]) for f in second["files"] if f["path"] in wire}
    assert told == {path: ("disk", size) for path, size in wire.items()}
    assert second["length"] == pytest.approx(1.0, abs=1e-4)
    visit.expect_clean(site)


def test_what_is_not_to_be_kept_is_not(
    page: Page, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    site, server = faulty
    worker = FilesWorker(page, site, sharded)
    for _ in range(2):
        server.recover()
        answer = worker.prepare(keep=False)
        assert answer["weights"] == sharded.sha256
        assert answer["store"] == {"kind": "memory", "reason": "asked"}
        assert server.fetched() == {file.path: file.bytes for file in sharded.files}
        assert held(page) == {}


@pytest.mark.parametrize("damage", ["a byte went bad", "a byte too many"])
def test_what_went_bad_on_the_disk_is_fetched_again(
    page: Page, faulty: tuple[str, FaultyServer], sharded: ShardedModel, damage: str
) -> None:
    site, server = faulty
    worker = FilesWorker(page, site, sharded)
    worker.prepare()
    expect_whole(page, sharded.files)
    shard = sharded.shards[3]
    spoil(page, shard, AT if damage == "a byte went bad" else held(page)[shard.sha256].bytes)
    server.recover()
    answer = worker.prepare()
    assert answer["weights"] == sharded.sha256
    assert server.fetched() == {shard.path: shard.bytes}
    (asked,) = server.requests(shard.path)
    assert asked.range is None
    expect_whole(page, sharded.files)


def test_two_tabs_download_it_once(
    context: BrowserContext, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    site, server = faulty
    tabs = [FilesWorker(context.new_page(), site, sharded) for _ in range(2)]
    for tab in tabs:
        tab.begin(patience=HANGS)
    answers = [tab.finish() for tab in tabs]
    assert [answer["weights"] for answer in answers] == [sharded.sha256] * 2
    assert server.fetched() == {file.path: file.bytes for file in sharded.files}
    by_tab = [sum(file["bytes"] for file in answer["files"]) for answer in answers]
    assert sum(by_tab) == sum(file.bytes for file in sharded.files)
    expect_whole(tabs[0].page, sharded.files)


def test_what_another_tab_fetches_is_not_deleted(
    context: BrowserContext, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    site, server = faulty
    shard = sharded.shards[2]
    server.plan = [Fault("stall", shard.path, after=AT)]
    fetching = FilesWorker(context.new_page(), site, sharded)
    fetching.begin(patience=HANGS)
    for file in sharded.files:
        until_held(fetching.page, file, AT if file == shard else None)
    visit = Visit(context.new_page())
    visit.open_blank(site)
    visit.page.evaluate(
        """async (files) => {
          const { removeStored } = await import(new URL('../js/stored.js', location.href));
          await removeStored(files);
        }""",
        [file.sha256 for file in sharded.files],
    )
    left = {path: size for path, size in held_bytes(visit.page, sharded.files).items() if size}
    assert left == {shard.path: AT}


@pytest.mark.parametrize(
    ("lacking", "store"),
    [
        (["FileSystemFileHandle"], {"kind": "cache", "reason": None}),
        (["FileSystemFileHandle", "caches"], {"kind": "memory", "reason": "unsupported"}),
    ],
    ids=["no private file system", "no Cache API either"],
)
def test_other_stores(
    page: Page,
    faulty: tuple[str, FaultyServer],
    sharded: ShardedModel,
    lacking: list[str],
    store: dict[str, str | None],
) -> None:
    site, server = faulty
    source = (Path(__file__).parents[1] / "site/worker/store.js").read_text()
    without = "".join(f"const {name} = undefined;\n" for name in lacking) + source
    other = Fault(
        "replaced", "/store.js", times=None, value="text/javascript", content=without.encode()
    )
    wire = {file.path: file.bytes for file in sharded.files}
    server.plan = [other]
    worker = FilesWorker(page, site, sharded)
    answer = worker.prepare()
    assert answer["weights"] == sharded.sha256
    assert answer["store"] == store
    assert server.fetched() == wire
    server.asked.clear()
    assert worker.prepare()["weights"] == sharded.sha256
    assert server.fetched() == ({} if store["kind"] == "cache" else wire)
    assert other.met >= 2


def test_a_new_version_fetches_what_changed(
    browser: Browser,
    browser_context_args: dict[str, Any],
    tmp_path: Path,
    sharded: ShardedModel,
) -> None:
    """What it replaces is listed, and deleted when the visitor says so."""
    old = publish_sharded(tmp_path, sharded.entry, sharded.content)
    with (
        browser.new_context(**browser_context_args | {"locale": "pt-BR"}) as context,
        serve_faulty(tmp_path / "models") as (site, server),
    ):
        page = context.new_page()
        worker = FilesWorker(page, site, old)
        assert worker.prepare()["weights"] == old.sha256
        new = new_version(tmp_path, old, 2)
        (gone,), (come,) = set(old.files) - set(new.files), set(new.files) - set(old.files)
        server.recover()
        page.goto(site)
        page.locator(".card .button").click()
        expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
        assert server.fetched() == {come.path: come.bytes}
        rows = page.locator(".stored__model")
        expect(rows).to_have_count(2)
        size = f"{settled_bytes(gone) / 1e6:.2f}".replace(".", ",")
        expect(rows.last).to_contain_text("Arquivos de versões anteriores")
        expect(rows.last).to_contain_text(size)
        rows.last.get_by_role("button", name="Apagar").click()
        expect(rows).to_have_count(1)
        expect_whole(page, new.files)
