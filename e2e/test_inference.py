"""The same vectors in every browser configuration, in CPython, and in transformers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pesoleve.measure.datasets import load_pairs
from pesoleve.measure.embed import embed_built
from pesoleve.measure.parity import parity
from pesoleve.measure.reference import reference_vectors
from pesoleve.recipe import Recipe, load_recipe
from pesoleve.sources import resolve
from pesoleve_worker.catalog import Model

from .server import SITE
from .visit import Visit

Vectors = npt.NDArray[np.float32]
N = 24

RUN = """
  const { texts, device, dtype } = argument;
  const model = await pesoleve.load('minilm-l6', { device, dtype });
  const { vectors } = await model.run(texts);
  const { stats } = model;
  await model.dispose();
  return { vectors: vectors.map((vector) => [...vector]), stats };
"""


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Real sentences of uneven length, part of those that the catalog's figures are over."""
    pairs = load_pairs("stsb-test")
    step = len(pairs.first) // N
    return sorted(pairs.first[::step][:N], key=len, reverse=True)[::2] + pairs.second[::step][: N // 2]


@pytest.fixture(scope="module")
def expected(texts: list[str]) -> Vectors:
    """What transformers answers."""
    recipe = load_recipe("minilm-l6")
    directory = resolve(recipe.source).directory
    return reference_vectors(directory, texts, recipe.export.max_length, "mean", True)


def run_in_browser(
    visit: Visit, site: str, texts: list[str], device: str, dtype: str
) -> tuple[Vectors, dict[str, Any]]:
    visit.open_blank(site)
    answer = visit.run_module(RUN, {"texts": texts, "device": device, "dtype": dtype})
    assert "error" not in answer, answer
    return np.array(answer["vectors"], np.float32), answer["stats"]


def run_in_cpython(model: Model, dtype: str, texts: list[str]) -> Vectors:
    """The page's pipeline on the page's own files, through onnxruntime and tokenizers."""
    # In a thread of its own: Playwright's event loop holds this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(embed_built, texts, SITE / "models", model, dtype).result()


def smallest_cosine(model: Model, dtype: str) -> float:
    figures = {(row.dtype, row.metric): row.value for row in model.quality}
    return figures[dtype, "cosine_min"]


def test_fp32_on_wasm_equals_transformers(
    visit: Visit, isolated_site: str, texts: list[str], expected: Vectors
) -> None:
    vectors, stats = run_in_browser(visit, isolated_site, texts, "wasm", "fp32")
    assert parity(vectors, expected).cosine_min >= 0.99999
    assert stats["device"] == "wasm"
    assert isinstance(stats["threads"], int) and stats["threads"] >= 2
    visit.expect_clean(isolated_site)


def test_fp32_without_isolation_runs_on_one_thread(
    visit: Visit, plain_site: str, texts: list[str], expected: Vectors
) -> None:
    vectors, stats = run_in_browser(visit, plain_site, texts, "wasm", "fp32")
    assert parity(vectors, expected).cosine_min >= 0.99999
    assert stats["threads"] == 1
    visit.expect_clean(plain_site)


def test_fp32_on_webgpu_equals_transformers(
    visit: Visit, isolated_site: str, texts: list[str], expected: Vectors
) -> None:
    vectors, stats = run_in_browser(visit, isolated_site, texts[:4], "webgpu", "fp32")
    assert parity(vectors, expected[:4]).cosine_min >= 0.99999
    assert stats["device"] == "webgpu" and stats["rejected"] == []
    visit.expect_clean(isolated_site)


def test_default_dtype_is_as_good_as_the_catalog_says(
    visit: Visit, isolated_site: str, model: Model, texts: list[str], expected: Vectors
) -> None:
    dtype = model.default_dtype
    vectors, stats = run_in_browser(visit, isolated_site, texts, "wasm", dtype)
    assert parity(vectors, expected).cosine_min >= smallest_cosine(model, dtype) - 1e-5
    assert parity(vectors, run_in_cpython(model, dtype, texts)).max_difference < 1e-4
    assert stats["device"] == "wasm"
    visit.expect_clean(isolated_site)


def test_auto_leaves_a_gpu_that_the_cpu_draws(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    plan = visit.run_module("return await pesoleve.plan('minilm-l6', { device: 'auto' });")
    assert plan["choice"]["devices"] == ["wasm"]
    assert plan["choice"]["reason"] == "software_adapter"
    visit.expect_clean(isolated_site)


REAL_GPU = """
  const info = { vendor: 'acme', architecture: 'nine', description: 'Acme Nine' };
  Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => info });
"""


def test_auto_takes_a_real_gpu_and_answers_on_it_as_the_catalog_says(
    visit: Visit, isolated_site: str, model: Model, texts: list[str], expected: Vectors
) -> None:
    """The adapter's word is forged; what it computes, in the default dtype, is not."""
    few = texts[:4]  # a GPU drawn by the CPU is slow
    visit.page.add_init_script(REAL_GPU)
    vectors, stats = run_in_browser(visit, isolated_site, few, "auto", model.default_dtype)
    assert stats["device"] == "webgpu"
    assert stats["choice"]["reason"] == "adapter_found"
    assert stats["choice"]["adapter"] == "Acme Nine"
    dtype = model.default_dtype
    assert parity(vectors, expected[:4]).cosine_min >= smallest_cosine(model, dtype) - 1e-5
    assert parity(vectors, run_in_cpython(model, dtype, few)).max_difference < 1e-4
    visit.expect_clean(isolated_site)


def test_default_dtype_is_the_smallest_within_its_bound(model: Model) -> None:
    """The rule of the recipe, checked on what was built and measured."""
    spearman = {row.dtype: row.value for row in model.quality if row.metric == "spearman"}
    recipe = load_recipe("minilm-l6")
    assert isinstance(recipe, Recipe)
    allowed = recipe.measure.default_max_loss
    assert allowed == 0.005
    wire = {dtype: sum(file.bytes for file in model.wire_files("wasm", dtype)) for dtype in spearman}
    good = [dtype for dtype in spearman if spearman["fp32"] - spearman[dtype] <= allowed]
    assert model.default_dtype == min(good, key=lambda dtype: wire[dtype])
