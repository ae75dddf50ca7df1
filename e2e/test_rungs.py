"""The smaller dtypes of the chat model, and the layout for devices with little memory, in the page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, expect

from pesoleve_worker.catalog import Model

from .chat import ID, open_chat
from .native_chat import NativeChat
from .server import SITE
from .visit import Visit

QUESTION = "Why is the sky blue? Explique também em português."
MOST = 24
SMALL_HEAP = 250_000_000
"""Bytes: the int8 weights are 134.5 million; in fp32 they would be four times that."""


SMALL_SHORTFALL = 0.25
"""Nats a token, on average. In 8 bits a last digit that differs moves an activation to the next
level, and 30 layers carry it on: two right computations choose differently where tokens are about
as likely."""


def test_greedy_answers_are_cpythons(
    browser: Browser, isolated_site: str, models: dict[str, Model]
) -> None:
    """Of the smallest, whose levels are of the most kinds."""
    dtype = "q3"
    # In a thread of its own: Playwright's event loop holds this one.
    with ThreadPoolExecutor(1) as pool:
        native = pool.submit(NativeChat, models[ID], SITE / "models", dtype).result()
        expected = pool.submit(native.greedy, QUESTION, MOST).result()
    with browser.new_page() as page:
        visit = Visit(page)
        visit.open_blank(isolated_site)
        chat = open_chat(visit, device="wasm", dtype=dtype)
        assert (chat.stats["device"], chat.stats["dtype"]) == ("wasm", dtype)
        assert chat.stats["canaryDifference"] == 0
        assert chat.ask(QUESTION, max_new_tokens=MOST).ids == expected


def test_the_small_layout_answers_in_a_small_heap_as_cpython_would(
    browser: Browser, isolated_site: str, models: dict[str, Model]
) -> None:
    with browser.new_page() as page:
        visit = Visit(page)
        visit.open_blank(isolated_site)
        chat = open_chat(visit, device="wasm_small")
        assert chat.stats["device"] == "wasm_small"
        assert chat.stats["canaryDifference"] == 0
        assert chat.stats["memory"]["runtime"] < SMALL_HEAP
        answer = chat.ask(QUESTION, max_new_tokens=MOST).ids
    with ThreadPoolExecutor(1) as pool:
        native = pool.submit(NativeChat, models[ID], SITE / "models", None, "wasm_small").result()
        shortfalls = pool.submit(native.shortfalls, QUESTION, answer).result()
    assert len(answer) == MOST
    assert sum(shortfalls) / MOST < SMALL_SHORTFALL, shortfalls


LITTLE_MEMORY = "Object.defineProperty(Navigator.prototype, 'deviceMemory', { get: () => 2 });"


@pytest.mark.parametrize(
    ("locale", "words"), [("en-US", "this device has little memory"), ("pt-BR", "pouca memória")]
)
def test_a_device_with_little_memory_is_offered_the_small_layout(
    browser: Browser, isolated_site: str, models: dict[str, Model], locale: str, words: str
) -> None:
    """And is shown what that costs: the int8 layout's own KL, not that of the weights that travel."""
    context = browser.new_context(locale=locale, service_workers="block")
    context.add_init_script(LITTLE_MEMORY)
    page = context.new_page()
    page.goto(f"{isolated_site}?model={ID}")
    expect(page.locator(".scale__device")).to_contain_text(words)
    kl = next(row.value for row in models[ID].quality if (row.dtype, row.metric) == ("q4_1_int8", "kl"))
    shown = f"{kl:.3f}".replace(".", "," if locale == "pt-BR" else ".")
    expect(page.locator(".dtypes__row", has_text="q4_1")).to_contain_text(shown)
    context.close()
