"""The smaller dtypes of the chat model, and the layout for devices with little memory, in the page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser

from pesoleve_worker.catalog import Model

from .chat import ID, open_chat
from .native_chat import NativeChat
from .server import SITE
from .visit import Visit

QUESTION = "Why is the sky blue? Explique também em português."
MOST = 24
SMALL_HEAP = 250_000_000
"""Bytes: the int8 weights are 134.5 million; in fp32 they would be four times that."""


@pytest.mark.parametrize(("device", "dtype"), [("wasm", "q4"), ("wasm", "q3"), ("wasm_small", "q4_1")])
def test_greedy_answers_are_cpythons(
    browser: Browser, isolated_site: str, models: dict[str, Model], device: str, dtype: str
) -> None:
    # In a thread of its own: Playwright's event loop holds this one.
    with ThreadPoolExecutor(1) as pool:
        native = pool.submit(NativeChat, models[ID], SITE / "models", dtype, device).result()
        expected = pool.submit(native.greedy, QUESTION, MOST).result()
    with browser.new_page() as page:
        visit = Visit(page)
        visit.open_blank(isolated_site)
        chat = open_chat(visit, device=device, dtype=dtype)
        assert (chat.stats["device"], chat.stats["dtype"]) == (device, dtype)
        assert chat.stats["canaryDifference"] == 0
        assert (chat.stats["memory"]["runtime"] < SMALL_HEAP) == (device == "wasm_small")
        assert chat.ask(QUESTION, max_new_tokens=MOST).ids == expected
