"""What this device cannot do, and what is said of it: a "no" comes only from a hard limit."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from pesoleve_worker.catalog import Model
from pesoleve_worker.sizing import PYTHON_HEAP

from .accessibility import expect_accessible_in_both_schemes
from .chat import ID as CHAT
from .visit import Visit
from .weighing import JUDGE, WEIGH, reasons

MB = 1_000_000


def test_a_device_made_too_small_gets_a_no_that_names_the_limit(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    visit.open(isolated_site, f"?model={CHAT}&wasm_memory=200000000")
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_contain_text("No, it cannot run here.")
    expect(verdict).to_contain_text("of WebAssembly memory, and at most 200 MB can be had")
    expect(page.get_by_role("button", name="all the same")).to_be_enabled()
    page.get_by_role("button", name="Português").click()
    expect(verdict).to_contain_text("Não, aqui não roda.")
    expect(verdict).to_contain_text("o máximo é 200 MB")
    expect_accessible_in_both_schemes(page, "pl-model-card")
    visit.expect_clean(isolated_site)


def test_limits_are_what_the_browser_says(page: Page, isolated_site: str) -> None:
    page.add_init_script("""
      Object.defineProperty(navigator, 'deviceMemory', { value: 2 });
      navigator.storage.estimate = async () => ({ quota: 1000, usage: 300 });
      navigator.gpu.requestAdapter = async () => window.adapter ?? null;
    """)
    visit = Visit(page)
    visit.open_blank(isolated_site)
    told = visit.run_module("""
      const { readLimits } = await import(new URL('../js/limits.js', location.href));
      const { hardLimits } = await import(new URL('../js/verdict.js', location.href));
      const limits = [await readLimits(true)];
      for (const binding of [3000, 5000]) {
        window.adapter = {
          limits: { maxBufferSize: 4000, maxStorageBufferBindingSize: binding },
          features: new Set(['shader-f16']),
        };
        limits.push(await readLimits(true));
      }
      const sizes = { largest_tensor_bytes: 3500, memory_bytes: 0 };
      const lacking = [...limits, { ...limits[2], simd: false }, { ...limits[2], secure: false }];
      return { limits, hard: lacking.map((of) => hardLimits(of, 'webgpu', sizes)) };
    """)
    base = {
        "secure": True, "simd": True, "wasm_memory": 2**32, "device_memory": 2 * 2**30, "quota": 700,
    }  # fmt: skip
    assert told["limits"] == [
        base | {"gpu_buffer": None, "shader_f16": False},
        base | {"gpu_buffer": 3000, "shader_f16": True},
        base | {"gpu_buffer": 4000, "shader_f16": True},
    ]
    codes = [[reason["code"] for reason in reasons] for reasons in told["hard"]]
    assert codes == [["gpu_buffer"], ["gpu_buffer"], [], ["no_simd"], ["insecure_context"]]


def test_a_gpu_that_is_not_there_is_said_to_be(page: Page, isolated_site: str) -> None:
    page.add_init_script("navigator.gpu.requestAdapter = async () => null;")
    visit = Visit(page)
    visit.open_blank(isolated_site)
    refused = visit.run_module(WEIGH, {"id": CHAT, "device": "webgpu"})
    assert refused["error"]["code"] == "device_unavailable"
    assert "no_adapter" in refused["error"]["message"]


def test_what_each_limit_makes_of_it(
    visit: Visit, isolated_site: str, models: dict[str, Model]
) -> None:
    gpu = {"devices": ["webgpu"], "build": "jspi", "threads": 2}
    both = {"devices": ["webgpu", "wasm"], "build": "jspi", "threads": 2}
    largest = models[CHAT].devices["webgpu"].sizes["q4_1"].largest_tensor_bytes
    roomy = {"gpu_buffer": largest}
    slow = {"rates": {"compute": 1e9, "float32": 1e9, "int8": 1e9, "threads": 1}}
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({}, "yes", None),
        ({"limits": {"secure": False}}, "no", "insecure_context"),
        ({"limits": {"simd": False}}, "no", "no_simd"),
        ({"limits": {"wasm_memory": 645 * MB}}, "no", "wasm_memory"),
        ({"limits": {"wasm_memory": 655 * MB}}, "yes", None),
        ({"choice": gpu, "limits": {"gpu_buffer": largest - 1}}, "no", "gpu_buffer"),
        ({"choice": gpu, "limits": {"gpu_buffer": None}}, "no", "gpu_buffer"),
        ({"choice": gpu, "limits": roomy}, "yes", None),
        ({"choice": gpu, "limits": roomy, "basis": {"gpu": None}}, "yes", "speed_unknown"),
        ({"choice": both, "limits": {"gpu_buffer": 1}}, "yes", None),
        ({"limits": {"device_memory": 2 * 2**30}}, "tight", "device_memory"),
        ({"limits": {"quota": MB}}, "tight", "quota"),
        ({"limits": {"quota": MB}, "plan": {"stored": 10 * MB}}, "yes", None),
        ({"basis": slow}, "tight", "slow"),
        ({"limits": {"device_memory": None}}, "unknown", "memory_unknown"),
        ({"basis": {"rates": None}}, "yes", "speed_unknown"),
        ({"basis": {"network": None}}, "yes", "network_unknown"),
        ({"choice": {"threads": 1, "isolated": False}}, "yes", "one_thread"),
    ]  # fmt: skip
    visit.open_blank(isolated_site)
    found = visit.run_module(JUDGE, [{"id": CHAT, **given} for given, _, _ in cases])
    for (given, answer, code), verdict in zip(cases, found, strict=True):
        assert verdict["verdict"] == answer, given
        assert list(reasons(verdict)) == ([] if code is None else [code]), given
    memory = reasons(found[3])["wasm_memory"]
    sizes = models[CHAT].devices["wasm"].sizes["q4_1"]
    assert memory == {
        "code": "wasm_memory", "limit": 645 * MB, "needed": sizes.memory_bytes - PYTHON_HEAP,
    }  # fmt: skip
    assert found[9]["device"] == "wasm"  # the GPU cannot, so it is the next that is weighed


def test_a_smaller_layout_fits_where_the_fast_one_does_not(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    limits = {"wasm_memory": 500 * MB}
    for device, answer in (("wasm", "no"), ("wasm_small", "yes")):
        verdict = visit.run_module(WEIGH, {"id": CHAT, "device": device, "limits": limits})
        assert verdict["verdict"] == answer
