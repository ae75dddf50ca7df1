"""The reduction lab in real Chromium: its picture, its chains, and models side by side."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from pesoleve.graph.storage import GRAPH, WEIGHTS
from pesoleve.measure.embed import embed
from pesoleve.measure.snippets import load_labelled
from pesoleve.pack import read_content
from pesoleve_worker.catalog import Model, TextClassification

from .accessibility import expect_accessible_in_both_schemes
from .lasting_browser import OpenProfile
from .server import SITE
from .visit import Visit

READY = 120_000
FORMS = [
    ("sentiment-student-1m", "q8_dynamic"),
    ("sentiment-2mb", "q2"),
    ("sentiment-5mb", "q4"),
    ("sentiment-shared", "q4"),
    ("sentiment-quantized", "q3"),
    ("sentiment-quantized", "q8_static"),
]

CLASSIFY = """
  const [id, dtype, texts, device] = argument;
  const model = await pesoleve.load(id, { device, dtype });
  const { classes } = await model.run(texts);
  await model.dispose();
  return { classes, stats: model.stats };
"""


def in_cpython(model: Model, dtype: str, texts: list[str]) -> list[list[float]]:
    """The page's pipeline on the page's own files."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        names = {"graph": GRAPH, "weights": WEIGHTS, "tokenizer": "tokenizer.json"}
        for role, shards in model.files_for("wasm", dtype).items():
            (directory / names[role]).write_bytes(read_content(SITE / "models", shards))
        assert isinstance(model.pipeline, TextClassification)
        config = model.devices["wasm"].session_config
        # In a thread of its own: Playwright's event loop holds this one.
        with ThreadPoolExecutor(1) as pool:
            rows = pool.submit(
                embed, texts, directory, config, directory / "tokenizer.json", model.pipeline
            ).result()
    return [[float(value) for value in row] for row in rows]


@pytest.mark.parametrize(("name", "dtype"), FORMS)
def test_a_model_answers_in_the_page_as_in_cpython(
    visit: Visit, isolated_site: str, models: dict[str, Model], name: str, dtype: str
) -> None:
    texts = load_labelled("movies-test").texts[:12]
    visit.open_blank(isolated_site)
    answer = visit.run_module(CLASSIFY, [name, dtype, texts, "wasm"])
    assert "error" not in answer, answer
    expected = in_cpython(models[name], dtype, texts)
    # An activation that lies between two of 256 levels may be rounded to either.
    near = models[name].canary.tolerance if dtype.startswith("q8_") else 1e-4
    for told, row in zip(answer["classes"], expected, strict=True):
        scores = [told["scores"]["negative"], told["scores"]["positive"]]
        assert np.abs(np.array(scores) - row).max() < near
        assert told["label"] == ("negative", "positive")[int(np.argmax(scores))]
        assert told["score"] == max(scores)
    wire = sum(file.bytes for file in models[name].wire_files("wasm", dtype))
    assert answer["stats"]["bytes"]["model"] == wire
    # Threads of a small model would wait longer for each other than they compute.
    cores = visit.page.evaluate("navigator.hardwareConcurrency")
    small = name in ("sentiment-student-1m", "sentiment-2mb")
    assert answer["stats"]["threads"] == (1 if small else min(cores, 8))
    visit.expect_clean(isolated_site)


def test_pruned_layers_run_on_webgpu(
    visit: Visit, isolated_site: str, models: dict[str, Model]
) -> None:
    texts = ["A featherweight that floats and stings."]
    visit.open_blank(isolated_site)
    answer = visit.run_module(CLASSIFY, ["sentiment-pruned", "q4", texts, "webgpu"])
    assert "error" not in answer, answer
    assert answer["stats"]["device"] == "webgpu"
    (expected,) = in_cpython(models["sentiment-pruned"], "q4", texts)
    assert answer["classes"][0]["scores"]["positive"] == pytest.approx(expected[1], abs=1e-3)


def test_a_second_task_costs_its_adapter_alone(
    open_profile: OpenProfile, isolated_site: str, models: dict[str, Model]
) -> None:
    with open_profile() as browser:
        visit = Visit(browser.context.new_page())
        visit.open_blank(isolated_site)
        first = visit.run_module(CLASSIFY, ["sentiment-adapter", "q4", ["A joy to watch."], "wasm"])
        assert first["classes"][0]["label"] == "positive"
        visit.requests.clear()
        tweet = "@mark lol so tired today :( #mondays"
        second = visit.run_module(CLASSIFY, ["origin-adapter", "q4", [tweet], "wasm"])
        wire = visit.bytes_by_path()
    assert second["classes"][0]["label"] == "tweets"
    origin = models["origin-adapter"]
    own = [f for f in origin.wire_files("wasm", "q4") if f.path.startswith("origin-adapter/")]
    base = [f for f in origin.wire_files("wasm", "q4") if f.path.startswith("minilm-l6/")]
    fetched = sum(size for path, size in wire.items() if path.endswith(".zst"))
    tokenizer = sum(file.bytes for file in own if file.role == "tokenizer")
    assert fetched == sum(file.bytes for file in own) - tokenizer < 500_000
    assert sum(file.bytes for file in base) > 10_000_000


def lab(page: Page) -> None:
    page.locator("pl-lab-panel").scroll_into_view_if_needed()


def test_a_point_tells_its_chain_to_the_keyboard(
    visit: Visit, isolated_site: str, models: dict[str, Model]
) -> None:
    page = visit.page
    visit.open(isolated_site)
    lab(page)
    figures = json.loads((SITE / "measured" / "lab.json").read_text())
    forms = sum(
        len(model.devices["wasm"].files) for id, model in models.items() if id.startswith("sentiment-")
    )
    points = page.locator(".lab-chart__point")
    expect(points).to_have_count(forms)
    student = models["sentiment-student-1m"].quality
    reached = max(row.value for row in student if row.dataset == "movies-test")
    rival = max(baseline["accuracy"] for baseline in figures["baselines"])
    told = page.locator("pl-lab-panel").get_by_text("Does the smallest student beat")
    expect(told).to_contain_text("Yes:" if reached > rival else "No:")
    expect(told).to_contain_text(f"{100 * rival:.1f}%")
    point = page.get_by_role("button", name="All together, 2 MB, q2")
    point.focus()
    page.keyboard.press("Enter")
    chain = page.locator(".lab__chain")
    for technique in ("Fine-tuning", "Pruning", "Vocabulary pruning", "Quantization"):
        expect(chain).to_contain_text(technique)
    expect(point).to_have_attribute("aria-pressed", "true")
    rows = page.locator(".lab table tbody tr")
    expect(rows).to_have_count(forms + len(figures["baselines"]))
    expect(page.locator(".lab")).to_contain_text("smollm2-135m-instruct, asked in words")
    visit.expect_clean(isolated_site)


def test_models_side_by_side_on_the_visitors_sentence(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    visit.open(isolated_site)
    answers = page.locator(".trial__answer")
    expect(answers).to_have_count(2)
    answers.first.scroll_into_view_if_needed()  # nobody has measured anything before
    for place in range(2):
        expect(answers.nth(place)).to_contain_text("Yes, it will run here. Ready after")
        expect(answers.nth(place).locator(".corner--measured")).to_have_count(0)
    assert not any("/models/sentiment" in path for path in visit.bytes_by_path())
    page.get_by_label("A sentence in English").fill("Dull, slow and far too long.")
    page.get_by_role("button", name="Run what is chosen").click()
    for place in range(2):
        expect(answers.nth(place)).to_contain_text("Blame", timeout=READY)
        expect(answers.nth(place)).to_contain_text("downloaded")
        expect(answers.nth(place).locator(".corner--predicted")).to_have_count(1)
    expect(page.locator(".pairs")).to_contain_text("2 predictions have been checked")
    page.get_by_role("checkbox", name="Try it: Distilled below 1 M, q8").uncheck()
    expect(answers).to_have_count(1)
    page.get_by_label("A sentence in English").fill("Warm, funny and wise.")
    page.get_by_role("button", name="Run what is chosen").click()
    expect(answers).to_contain_text("Praise", timeout=READY)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect_accessible_in_both_schemes(page, "pl-lab-panel")
    page.get_by_role("button", name="Português").click()
    expect(answers).to_contain_text("Elogio")
    visit.expect_clean(isolated_site)
