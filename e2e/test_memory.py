"""What a load takes of the device's memory: said by the page, held to what the system counts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from .chat import ID
from .renderer_memory import peak_beside, renderers
from .visit import Visit

ENGINE = 450_000_000
"""Bytes, at most, of a renderer beside heaps and files; an empty page's are 125 million."""

LOAD = """
const planned = await pesoleve.plan(argument.id, { device: argument.device });
const { stats } = await pesoleve.load(argument.id, { device: argument.device });
return { ...stats, planned };
"""


@pytest.mark.parametrize(("id", "device"), [("minilm-l6", "wasm"), (ID, "wasm"), (ID, "wasm_small")])
def test_the_peak_of_a_load(
    browser: Browser,
    isolated_site: str,
    budgets: dict[str, Any],
    id: str,
    device: str,
) -> None:
    before = set(renderers())
    context = browser.new_context(service_workers="block")
    visit = Visit(context.new_page())
    visit.open_blank(isolated_site)
    stats = visit.run_module(LOAD, {"id": id, "device": device})
    peak = peak_beside(before)
    context.close()
    memory = stats["memory"]
    assert stats["device"] == device
    assert stats["bytes"]["total"] == stats["planned"]["total"]
    assert peak <= budgets["renderer_loading"][f"{id} {device}"]
    assert memory["python"] + memory["runtime"] == memory["total"] < memory["loading"]
    # The browser's own code, what it compiled, and what awaits collection come on top.
    assert memory["loading"] < peak < memory["loading"] + ENGINE
