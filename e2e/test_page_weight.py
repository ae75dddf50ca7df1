"""What the page costs on the wire: before the click, and in all."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from pesoleve_worker.catalog import Model

from .visit import MINILM, Visit

pytestmark = pytest.mark.fresh

CLICKED = (
    "/vendor/pyodide/",
    "/vendor/onnxruntime/",
    "/vendor/tokenizers/",
    "/vendor/jinja/",
    "/vendor/zstd/",
    "/vendor/hash/",
    ".zst",
)
"""What the button says it will fetch."""
HEAVY = (*CLICKED, "/worker/worker.js", "/worker/compute_worker.js", "/worker/files_worker.js")


def test_little_is_fetched_before_the_click(
    visit: Visit, isolated_site: str, budgets: dict[str, int]
) -> None:
    visit.open(isolated_site, MINILM)
    visit.page.wait_for_load_state("networkidle")
    heavy = [path for path in visit.bytes_by_path() if any(part in path for part in HEAVY)]
    assert not heavy
    assert 0 < visit.total_bytes() < budgets["before_click"]
    visit.expect_clean(isolated_site)


def test_cold_visit_stays_in_budget_and_costs_what_the_button_said(
    visit: Visit, isolated_site: str, budgets: dict[str, int]
) -> None:
    visit.open(isolated_site, MINILM)
    said = visit.page.locator(".scale__parts small").all_inner_texts()
    predicted = sum(int(text.split()[0].replace(",", "")) for text in said)
    before = visit.total_bytes()
    visit.page.get_by_role("button", name="Download").click()
    expect(visit.page.locator(".ranking__row").first).to_be_visible(timeout=120_000)
    vendored = {p: b for p, b in visit.bytes_by_path().items() if any(h in p for h in CLICKED)}
    assert sum(vendored.values()) == predicted
    assert before < visit.total_bytes() <= budgets["cold_visit"]
    model = sum(n for path, n in visit.bytes_by_path().items() if path.endswith(".zst"))
    assert model > 0
    assert visit.total_bytes() - model <= budgets["without_model"]
    visit.expect_clean(isolated_site)


@pytest.mark.parametrize(
    ("id_", "dtype"),
    [
        ("minilm-l6", "fp32"),
        ("minilm-l6", "q4"),
        ("smollm2-135m-instruct", "q4_1"),
    ],
)
def test_every_model_file_costs_what_the_catalog_says(
    visit: Visit, isolated_site: str, models: dict[str, Model], id_: str, dtype: str
) -> None:
    visit.open_blank(isolated_site)
    stats = visit.run_module(
        """const { id, dtype } = argument;
           const model = await pesoleve.load(id, { device: 'wasm', dtype });
           await model.dispose();
           return model.stats;""",
        {"id": id_, "dtype": dtype},
    )
    files = models[id_].wire_files("wasm", dtype)
    assert {p: b for p, b in visit.bytes_by_path().items() if p.endswith(".zst")} == {
        f"/models/{file.path}": file.bytes for file in files
    }
    by_page = {f["path"]: f["bytes"] for f in stats["files"] if f["path"].endswith(".zst")}
    assert by_page == {file.path: file.bytes for file in files}
    visit.expect_clean(isolated_site)


def test_the_chat_model_stays_in_budget(models: dict[str, Model], budgets: dict[str, int]) -> None:
    """On every device; that the page fetches just these files is tested above."""
    chat = models["smollm2-135m-instruct"]
    assert len(chat.devices) >= 2
    for device in chat.devices:
        files = chat.wire_files(device, chat.default_dtype)
        assert 0 < sum(file.bytes for file in files) <= budgets["smollm2_model_files"]


def test_what_the_module_measured_is_what_crossed_the_wire(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    stats = visit.run_module(
        "const model = await pesoleve.load('minilm-l6', { device: 'wasm' }); return model.stats;"
    )
    crossed = {p: b for p, b in visit.bytes_by_path().items() if any(h in p for h in CLICKED)}
    assert stats["bytes"]["total"] == sum(crossed.values())
    assert stats["bytes"]["model"] == sum(b for p, b in crossed.items() if p.endswith(".zst"))
