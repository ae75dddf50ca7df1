"""What the page lets a visitor do with a download: pause, go on, see what is kept, delete it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from .accessibility import expect_accessible
from .faults import Fault
from .faulty_server import serve_faulty
from .sharded_model import ShardedModel
from .stored import settled_bytes

READY = 120_000
HALF = 500_000


def test_pause_goes_on_from_the_byte_it_reached(page: Page, sharded: ShardedModel) -> None:
    shard = sharded.shards[2]
    stall = Fault("stall", shard.path, after=HALF)
    with serve_faulty(sharded.folder, [stall]) as (site, server):
        page.goto(site)
        page.get_by_role("button", name=re.compile("^Download")).click()
        assert stall.reached.wait(120)
        # What the server sent is not yet what the page has: some of this shard, and all of the others.
        page.wait_for_function(
            """(missing) => {
              const { max, value } = document.querySelector('.progress__sum progress');
              return value > max - missing;
            }""",
            arg=shard.bytes,
            timeout=READY,
        )
        page.get_by_role("button", name="Pause").click()
        resume = page.get_by_role("button", name=re.compile("^Go on"))
        expect(resume).to_be_focused(timeout=READY)
        expect(page.locator(".stored")).to_contain_text("MiniLM-L6", timeout=READY)
        expect_accessible(page)
        resume.click()
        expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
        again = server.requests(shard.path)[1]
        assert again.range is not None
        assert again.if_range is not None
        assert 0 < again.first <= HALF
        whole = [file for file in sharded.files if len(server.requests(file.path)) == 1]
        assert whole, "what had arrived before the pause is not fetched again"


def test_what_is_kept_is_listed_and_deleted(browser: Browser, sharded: ShardedModel) -> None:
    context = browser.new_context(locale="pt-BR", service_workers="block")
    with serve_faulty(sharded.folder) as (site, server):
        page = context.new_page()
        page.goto(site)
        page.locator(".card .button").click()
        expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
        kept = page.get_by_role("region", name="Guardado neste aparelho")
        held = sum(map(settled_bytes, sharded.files))
        number = f"{held / 1e6:.2f}".replace(".", ",")
        expect(kept.locator(".stored__model")).to_contain_text(number)
        expect_accessible(page)
        server.asked.clear()
        page.reload()
        expect(kept).to_be_visible()
        kept.get_by_role("button", name="Apagar").click()
        expect(kept).to_have_count(0)
        expect(page.locator(".card .button")).to_contain_text("Baixar")
        names = page.evaluate(
            """async () => {
              const root = await navigator.storage.getDirectory();
              const folder = await root.getDirectoryHandle('pesoleve-models');
              return await Array.fromAsync(folder.keys());
            }"""
        )
        assert not [name for name in names if "." not in name]
        assert not any(request.path.endswith(".zst") for request in server.asked)
    context.close()


@pytest.mark.parametrize(
    ("connection", "locale", "asks", "cancel"),
    [
        ("{ saveData: true }", "en-US", "Your browser is set to save data", "Cancel"),
        ("{ saveData: false, type: 'cellular' }", "pt-BR", "Você está numa conexão móvel", "Cancelar"),
    ],
)
def test_a_metered_connection_is_asked_first(
    browser: Browser, sharded: ShardedModel, connection: str, locale: str, asks: str, cancel: str
) -> None:
    context = browser.new_context(locale=locale, service_workers="block")
    context.add_init_script(
        f"Object.defineProperty(Navigator.prototype, 'connection', {{ get: () => ({connection}) }});"
    )
    with serve_faulty(sharded.folder) as (site, server):
        page = context.new_page()
        page.goto(site)
        button = page.locator(".card .button")
        button.click()
        expect(page.get_by_role("alert")).to_contain_text(asks)
        heavy = [request.path for request in server.asked if request.path.endswith((".zst", ".wasm"))]
        assert [path for path in heavy if not path.endswith("probe.wasm")] == []
        button.click()  # to begin is what was asked about; loads are others' to see to their end
        expect(page.get_by_role("button", name=cancel)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    context.close()


def test_an_unmetered_connection_is_not_asked(page: Page, sharded: ShardedModel) -> None:
    with serve_faulty(sharded.folder) as (site, _):
        page.goto(site)
        page.locator(".card .button").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
