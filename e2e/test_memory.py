"""What a load takes of the device's memory: said by the page, held to what the system counts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from pesoleve_worker.catalog import Model

from .chat import ID
from .renderer_memory import peak_beside, renderers
from .visit import Visit

LOAD = "return (await pesoleve.load(argument.id, { device: argument.device })).stats;"


@pytest.mark.parametrize(("id", "device"), [("minilm-l6", "wasm"), (ID, "wasm"), (ID, "wasm_small")])
def test_the_peak_of_a_load(
    browser: Browser,
    isolated_site: str,
    models: dict[str, Model],
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
    print(f"{id} on {device}: renderer {peak:,}, page's own account {memory}")
    assert stats["device"] == device
    assert peak <= budgets["renderer_loading"][f"{id} {device}"]
    assert memory["python"] + memory["runtime"] == memory["total"] < memory["loading"]
    # The renderer has its own code and JavaScript too, and an account of what is held errs upwards.
    assert 0.5 * peak < memory["loading"] < 1.2 * peak
