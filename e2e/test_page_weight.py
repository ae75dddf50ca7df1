"""What the page costs on the wire: before the click, and in all."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from pesoleve_worker.catalog import Model

from .visit import Visit

HEAVY = (
    "/vendor/pyodide/",
    "/vendor/onnxruntime/",
    "/vendor/tokenizers/",
    "/vendor/jinja/",
    ".zst",
    "/worker/",
)


def test_little_is_fetched_before_the_click(
    visit: Visit, isolated_site: str, budgets: dict[str, int]
) -> None:
    visit.open(isolated_site)
    visit.page.wait_for_load_state("networkidle")
    heavy = [path for path in visit.bytes_by_path() if any(part in path for part in HEAVY)]
    assert not heavy
    assert 0 < visit.total_bytes() < budgets["before_click"]
    visit.expect_clean(isolated_site)


def test_cold_visit_stays_in_budget_and_costs_what_the_button_said(
    visit: Visit, isolated_site: str, budgets: dict[str, int]
) -> None:
    visit.open(isolated_site)
    said = visit.page.locator(".scale__parts small").all_inner_texts()
    predicted = sum(int(text.split()[0].replace(",", "")) for text in said)
    before = visit.total_bytes()
    visit.page.get_by_role("button", name="Download").click()
    expect(visit.page.locator(".ranking__row").first).to_be_visible(timeout=120_000)
    vendored = {p: b for p, b in visit.bytes_by_path().items() if any(h in p for h in HEAVY[:4])}
    assert sum(vendored.values()) == predicted
    assert before < visit.total_bytes() <= budgets["cold_visit"]
    visit.expect_clean(isolated_site)


@pytest.mark.parametrize("dtype", ["fp32", "q8", "q4"])
def test_every_model_file_costs_what_the_catalog_says(
    page: Page, visit: Visit, isolated_site: str, model: Model, dtype: str
) -> None:
    """Counted by CDP itself, chunk by chunk, on the page that downloads them."""
    cdp = page.context.new_cdp_session(page)
    paths: dict[str, str] = {}
    received: dict[str, int] = {}

    def keep_path(event: dict[str, object]) -> None:
        request = event["request"]
        assert isinstance(request, dict)
        paths[str(event["requestId"])] = urlsplit(str(request["url"])).path

    def add_bytes(event: dict[str, object]) -> None:
        path = paths[str(event["requestId"])]
        received[path] = received.get(path, 0) + int(str(event["encodedDataLength"]))

    cdp.on("Network.requestWillBeSent", keep_path)
    cdp.on("Network.dataReceived", add_bytes)
    cdp.send("Network.enable")
    visit.open_blank(isolated_site)
    stats = visit.run_module(
        """const model = await pesoleve.load('minilm-l6', { device: 'wasm', dtype: argument });
           await model.dispose();
           return model.stats;""",
        dtype,
    )
    files = model.files_for("wasm", dtype).values()
    assert {p: b for p, b in received.items() if p.endswith(".zst")} == {
        f"/models/{file.path}": file.bytes for file in files
    }
    by_page = {f["path"]: f["bytes"] for f in stats["files"] if f["path"].endswith(".zst")}
    assert by_page == {file.path: file.bytes for file in files}
    visit.expect_clean(isolated_site)


def test_what_the_module_measured_is_what_crossed_the_wire(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    stats = visit.run_module(
        "const model = await pesoleve.load('minilm-l6', { device: 'wasm' }); return model.stats;"
    )
    crossed = {p: b for p, b in visit.bytes_by_path().items() if any(h in p for h in HEAVY[:4])}
    assert stats["bytes"]["total"] == sum(crossed.values())
    assert stats["bytes"]["model"] == sum(b for p, b in crossed.items() if p.endswith(".zst"))
