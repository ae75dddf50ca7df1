"""Every failure arrives as an error with a code, and the module goes on working after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import expect

from pesoleve_worker.catalog import Model
from pesoleve_worker.errors import CODES

from .server import Change, serve_site
from .visit import MINILM, Visit

LOAD = "const model = await pesoleve.load('minilm-l6', { device: 'wasm' }); return model.stats;"


def flip_last_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def load_error(visit: Visit, changes: Mapping[str, Change]) -> dict[str, Any]:
    with serve_site(changes=changes) as site:
        visit.open_blank(site)
        answer = visit.run_module(LOAD)
    error = answer["error"]
    assert isinstance(error, dict)
    return error


def weights_name(model: Model) -> str:
    return "/" + model.files_for("wasm", model.default_dtype)["weights"][0].path


@pytest.mark.parametrize(
    ("change", "code", "retryable"),
    [
        (flip_last_byte, "hash_mismatch", False),
        (lambda content: content + b"more", "hash_mismatch", False),
        (lambda content: content[: len(content) // 2], "file_truncated", False),
        (lambda _: None, "download_failed", False),
    ],
    ids=["corrupt", "too long", "truncated", "404"],
)
def test_damaged_weights_are_refused_by_name(
    visit: Visit, model: Model, change: Change, code: str, retryable: bool
) -> None:
    error = load_error(visit, {weights_name(model): change})
    assert (error["code"], error["retryable"]) == (code, retryable)
    assert error["phase"] == "weights"
    assert weights_name(model) in error["message"]


def edited(edit: str, value: object) -> Change:
    """Change one place of the catalog; ``minilm`` in its path is that model's entry."""

    def change(content: bytes) -> bytes:
        catalog = json.loads(content)
        ids = [model["id"] for model in catalog["models"]]
        *parents, last = edit.replace("minilm", f"models.{ids.index('minilm-l6')}").split(".")
        place = catalog
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value
        return json.dumps(catalog).encode()

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda _: None, "catalog_unavailable"),
        (lambda content: content[:100], "catalog_invalid"),
        (lambda _: b"[]", "catalog_invalid"),
        (edited("schema_version", 99), "catalog_invalid"),
        (edited("minilm.files.0.path", "../../secret.zst"), "catalog_invalid"),
        (edited("minilm.files.0.path", "https://elsewhere.example/x.zst"), "catalog_invalid"),
        (edited("minilm.files.0.bytes", 10**15), "catalog_invalid"),
        (edited("minilm.files.0.sha256", "00"), "catalog_invalid"),
        (edited("minilm.shape", {"layers": "six"}), "catalog_invalid"),
        (edited("minilm.canary.outputs", {}), "catalog_invalid"),
    ],
    ids=[
        "absent", "truncated", "another shape", "another version", "path above", "other origin",
        "absurd size", "no hash", "bad shape", "no canary",
    ],
)  # fmt: skip
def test_bad_catalogs_are_refused(visit: Visit, change: Change, code: str) -> None:
    assert load_error(visit, {"/models/catalog.json": change})["code"] == code


@pytest.mark.parametrize(
    "broken",
    [
        "/ort-wasm-simd-threaded.wasm",
        "/pyodide.asm.wasm",
        "/pyodide.mjs",
        "/pyodide.asm.mjs",
        "/python.snapshot",
        "/ort.wasm.min.mjs",
    ],
)
def test_a_missing_runtime_file_says_so(visit: Visit, broken: str) -> None:
    assert load_error(visit, {broken: lambda _: None})["code"] == "runtime_failed"


@pytest.mark.parametrize("share", [0, 0.00001, 0.5])
def test_a_truncated_memory_of_python_is_refused(visit: Visit, share: float) -> None:
    error = load_error(
        visit, {"/python.snapshot": lambda content: content[: int(len(content) * share)]}
    )
    assert error["code"] == "runtime_failed"
    assert "python.snapshot is not whole" in error["message"]


@pytest.mark.parametrize("script", ["worker.js", "compute_worker.js"])
def test_a_missing_worker_says_so(visit: Visit, script: str) -> None:
    assert load_error(visit, {f"/worker/{script}": lambda _: None})["code"] == "worker_died"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("await pesoleve.load('nobody')", "model_unknown"),
        ("await pesoleve.load('minilm-l6', { dtype: 'q1' })", "option_invalid"),
        ("await pesoleve.load('minilm-l6', { device: 'tpu' })", "option_invalid"),
        ("await pesoleve.load('minilm-l6', { signal: AbortSignal.abort() })", "aborted"),
    ],
)
def test_wrong_options_name_the_right_ones(
    visit: Visit, isolated_site: str, call: str, code: str
) -> None:
    visit.open_blank(isolated_site)
    assert visit.run_module(f"{call}; return null;")["error"]["code"] == code


def test_bad_inputs_are_refused_and_the_model_goes_on(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    answer = visit.run_module(
        """const model = await pesoleve.load('minilm-l6', { device: 'wasm' });
           const codes = [];
           for (const inputs of [[], 'a string', [1], [null], null, 7, {}]) {
             codes.push(await model.run(inputs).then(() => 'accepted', (error) => error.code));
           }
           const long = 'word '.repeat(200_000) + '\\u{1F600}'.repeat(50_000);
           const { vectors } = await model.run(['', ' ', '\\0', long, '<img src=x onerror=alert(1)>']);
           const norms = vectors.map((v) => Math.hypot(...v));
           const stopped = new AbortController();
           const run = model.run(Array.from({ length: 3000 }, (_, i) => `sentence ${i}`), stopped);
           stopped.abort();
           const cancelled = await run.then(() => 'finished', (error) => error.code);
           const after = await model.run(['still here']);
           const alike = (left, right) => Math.max(...left.map((x, i) => Math.abs(x - right[i])));
           const asked = ['still here', 'somewhere else', 'still here'];
           const together = await Promise.all(asked.map((text) => model.run([text])));
           const apart = together.map(({ vectors: [found] }) => alike(found, after.vectors[0]));
           await model.dispose();
           const disposed = await model.run(['gone']).then(() => 'ran', (error) => error.code);
           return { codes, norms, cancelled, after: after.vectors.length, apart, disposed };"""
    )
    assert answer["codes"] == ["input_invalid"] * 7
    assert answer["norms"] == pytest.approx([1.0] * 5, abs=1e-4)
    assert answer["cancelled"] == "aborted"
    assert answer["after"] == 1
    assert [distance < 1e-5 for distance in answer["apart"]] == [True, False, True]  # each its own
    assert answer["disposed"] == "not_loaded"
    visit.expect_clean(isolated_site)


def test_a_dead_worker_rejects_everything_and_can_be_replaced(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    answer = visit.run_module(
        """const model = await pesoleve.load('minilm-l6', { device: 'wasm' });
           const pending = [model.run(['one']), model.run(['two'])];
           model.client.worker.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' }));
           const codes = await Promise.all(pending.map((p) => p.then(() => 'ran', (e) => e.code)));
           codes.push(await model.run(['three']).then(() => 'ran', (e) => e.code));
           const again = await pesoleve.load('minilm-l6', { device: 'wasm' });
           const { vectors } = await again.run(['four']);
           return { codes, vectors: vectors.length };"""
    )
    assert answer == {"codes": ["worker_died"] * 3, "vectors": 1}


def test_cancelling_a_load_stops_it(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    answer = visit.run_module(
        """const abort = new AbortController();
           const begun = performance.now();
           let seen = 0;
           const load = pesoleve.load('minilm-l6', {
             device: 'wasm',
             signal: abort.signal,
             onProgress: () => { seen += 1; abort.abort(); },
           });
           const code = await load.then(() => 'loaded', (error) => error.code);
           return { code, seen };"""
    )
    assert answer["code"] == "aborted"
    assert answer["seen"] >= 1


def test_the_page_words_a_failure_and_tries_again(visit: Visit, model: Model) -> None:
    broken = {"now": True}

    def corrupt_at_first(content: bytes) -> bytes:
        return flip_last_byte(content) if broken["now"] else content

    with serve_site(changes={weights_name(model): corrupt_at_first}) as site:
        visit.open(site, MINILM)
        visit.page.get_by_role("button", name="Download").click()
        alert = visit.page.get_by_role("alert")
        expect(alert).to_contain_text("not the one that was published", timeout=120_000)
        visit.page.get_by_role("button", name="Português").click()
        expect(alert).to_contain_text("não é o que foi publicado")
        visit.page.get_by_role("button", name="English").click()
        broken["now"] = False
        visit.page.get_by_role("button", name="Try again").click()
        expect(visit.page.locator(".ranking__row").first).to_be_visible(timeout=120_000)


def test_the_module_knows_the_codes_of_the_worker(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    codes = visit.page.evaluate("import('../js/errors.js').then(({ CODES }) => [...CODES])")
    assert codes == list(CODES)
