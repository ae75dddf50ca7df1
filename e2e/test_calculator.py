"""The calculator: any model weighed by the page's own Python, which boots when it is opened."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from pesoleve_worker.weighing import weigh_config

from .accessibility import expect_accessible_in_both_schemes
from .visit import Visit

LLAMA = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}  # fmt: skip
BOOTED = 60_000


def weigh(page: Page, text: str) -> None:
    page.locator(".calculator__input").fill(text)
    page.get_by_role("button", name="Weigh it").click()
    expect(page.get_by_role("button", name="Weigh it")).to_be_enabled(timeout=BOOTED)


def test_python_boots_when_the_calculator_is_opened_and_weighs_as_the_command_does(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    visit.open(isolated_site)
    expect(page.get_by_test_id("verdict")).to_be_visible()
    panel = page.locator(".calculator")
    expect(panel).to_contain_text("Gemma 2B has 2,506,172,416")
    expect(panel.locator("tbody tr")).to_have_count(4)
    expect(panel.locator("tr", has_text="Mistral 7B")).to_contain_text("(too much)")
    assert not any("pyodide" in path for path in visit.bytes_by_path())

    opener = page.locator(".calculator__tool summary")
    expect(opener).to_have_text(re.compile(r"runs Python here: 4\.\d\sMB"))
    opener.focus()
    with page.expect_request("**/pyodide/*.wasm"):  # before anything is asked
        page.keyboard.press("Enter")
    weigh(page, json.dumps(LLAMA))
    assert any("pyodide" in path for path in visit.bytes_by_path())
    assert not any("onnxruntime" in path for path in visit.bytes_by_path())

    weighed = weigh_config(LLAMA)
    expect(page.locator(".calculator__sum")).to_contain_text(
        f"Welterweight: {weighed.parameters.total:,} parameters"
    )
    for dtype, size in weighed.dtypes.items():
        row = panel.locator("tr", has=page.get_by_role("radio", name=dtype, exact=True))
        expect(row).to_contain_text(f"{size.wire_bytes / 1e6:,.1f}\u00a0MB")
        expect(row).to_contain_text(f"{size.memory_bytes / 1e6:,.0f}\u00a0MB")
        expect(row).to_contain_text("46,080")
    for figure in ("Download", "Ready after", "First word after", "Writes", "Memory, at most"):
        expect(panel.get_by_test_id("verdict")).to_contain_text(figure)
    page.get_by_role("radio", name="fp32", exact=True).check()
    expect(panel.get_by_test_id("verdict")).to_contain_text("Yes, it will run here.")
    expect_accessible_in_both_schemes(page, "pl-calculator-panel")

    panel.get_by_role("button", name="Gemma 7B").click()
    page.get_by_role("button", name="Weigh it").click()
    expect(panel.get_by_test_id("verdict")).to_contain_text("No, it cannot run here.")
    expect(panel.get_by_test_id("verdict")).to_contain_text("at most 4,295 MB can be had")

    for text, says in (
        ("", "neither a configuration nor a count"),
        ("{", "This is not a JSON object"),
        ('{"model_type": "<img src=x>"}', "no formula here for the family “<img src=x>”"),
        ('{"model_type": "bert"}', "lacks hidden_size"),
        ("[" * 100_000, "not a JSON object"),
    ):
        weigh(page, text)
        expect(page.locator("#calculator-problem")).to_contain_text(says)
        expect(page.locator(".calculator__sum")).to_have_count(0)
    weigh(page, "2B")
    expect(page.locator(".calculator__sum")).to_contain_text("Heavyweight: 2,000,000,000")
    expect(page.locator("#calculator-problem")).to_be_empty()
    visit.expect_clean(isolated_site)


@pytest.mark.browser_context_args(locale="pt-BR", viewport={"width": 390, "height": 844})
def test_narrow_and_in_portuguese(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site)
    expect(page.locator(".calculator")).to_contain_text("Por que 2B não são 2 GB")
    page.locator(".calculator__tool summary").click()
    page.locator(".calculator__input").fill('{"model_type": "rwkv"}')
    page.get_by_role("button", name="Pesar").click()
    expect(page.locator("#calculator-problem")).to_contain_text(
        "Não há aqui fórmula para a família “rwkv”", timeout=BOOTED
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.expect_clean(isolated_site)
