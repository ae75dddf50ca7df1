"""A device without room: the model runs from memory, the page says so, and what is kept is right."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .faults import Fault
from .faulty_server import FaultyServer
from .files_worker import FilesWorker
from .lasting_browser import OpenProfile
from .sharded_model import ShardedModel
from .stored import expect_sound, expect_whole, held_bytes
from .visit import Visit

READY = 120_000
LITTLE = 5_000_000
"""Bytes of room: for two shards, and not for six."""


def limit(page: Page, site: str, bytes_: int | None) -> None:
    """Let the site keep so many bytes and no more; None is what the browser would."""
    quota = {} if bytes_ is None else {"quotaSize": bytes_}
    cdp = page.context.new_cdp_session(page)
    cdp.send("Storage.overrideQuotaForOrigin", {"origin": site.rstrip("/"), **quota})


@pytest.mark.fresh
def test_a_full_disk_on_the_way(
    visit: Visit, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    """What is kept is right, and comes no more once there is room."""
    site, server = faulty
    visit.open(site)
    limit(visit.page, site, LITTLE)
    visit.page.locator(".card .button").click()
    expect(visit.page.locator(".ranking__row").first).to_contain_text("A pilot", timeout=READY)
    assert visit.page.evaluate(
        "document.querySelector('pl-page').current.state.model.stats.storage"
    ) == {
        "kind": "memory",
        "reason": "disk_full",
    }
    notice = visit.page.locator(".measured .notice")
    expect(notice).to_contain_text("The disk filled up before all of the model was kept")
    visit.page.get_by_role("button", name="Português").click()
    expect(notice).to_contain_text("O disco encheu antes de guardar o modelo inteiro")
    assert server.fetched() == {file.path: file.bytes for file in sharded.files}
    expect_sound(visit.page, sharded.files)
    there = held_bytes(visit.page, sharded.files)
    whole = {file.path for file in sharded.files if there[file.path] == file.bytes}
    assert 0 < len(whole) < len(sharded.files)
    limit(visit.page, site, None)
    server.recover()
    answer = FilesWorker(visit.page, site, sharded).prepare()
    assert answer["store"] == {"kind": "opfs", "reason": None}
    assert server.fetched() == {f.path: f.bytes for f in sharded.files if f.path not in whole}
    expect_whole(visit.page, sharded.files)


def test_no_room_before_the_first_byte(
    open_profile: OpenProfile, faulty: tuple[str, FaultyServer], sharded: ShardedModel
) -> None:
    """In a browser with a profile: a private window, as in other tests, notices once it is full."""
    site, server = faulty
    with open_profile() as browser:
        page = browser.context.new_page()
        Visit(page).open(site)
        limit(page, site, LITTLE)
        page.locator(".card .button").click()
        expect(page.locator(".ranking__row").first).to_contain_text("A pilot", timeout=READY)
        assert page.evaluate("document.querySelector('pl-page').current.state.model.stats.storage") == {
            "kind": "memory",
            "reason": "quota",
        }
        notice = page.locator(".measured .notice")
        expect(notice).to_contain_text("There is no room on this device to keep the model")
        page.get_by_role("button", name="Português").click()
        expect(notice).to_contain_text("Não há espaço neste aparelho para guardar o modelo")
        assert server.fetched() == {file.path: file.bytes for file in sharded.files}
        assert not any(held_bytes(page, sharded.files).values())

        # What is there already is used all the same.
        limit(page, site, None)
        worker = FilesWorker(page, site, sharded)
        missing = sharded.shards[4]
        server.plan = [Fault("status", missing.path, status=404)]
        assert worker.prepare()["error"]["code"] == "download_failed"
        there = held_bytes(page, sharded.files)
        whole = {file.path for file in sharded.files if there[file.path] == file.bytes}
        assert len(whole) > 2
        limit(page, site, LITTLE)
        server.recover()
        answer = worker.prepare()
        assert answer["weights"] == sharded.sha256
        assert answer["store"] == {"kind": "memory", "reason": "quota"}
        assert server.fetched() == {f.path: f.bytes for f in sharded.files if f.path not in whole}
        assert held_bytes(page, sharded.files) == there
