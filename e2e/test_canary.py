"""A GPU that answers wrongly and reports no error is found out, left, and named."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from .server import serve_site
from .visit import MINILM, Visit

FORGED_GPU = b"""
const openSession = OrtHost.prototype.openSession;
OrtHost.prototype.openSession = async function (device, ...rest) {
  const session = await openSession.call(this, device, ...rest);
  if (device !== 'webgpu') return session;
  const run = session.run.bind(session);
  session.run = async (feeds) => {
    const outputs = await run(feeds);
    for (const { data } of Object.values(outputs)) FORGERY
    return outputs;
  };
  return session;
};
"""

RUN = """
  const model = await pesoleve.load('minilm-l6', { device: 'webgpu' });
  const { vectors } = await model.run(['a sentence']);
  return { stats: model.stats, vector: [...vectors[0]] };
"""


def test_wrong_gpu_is_left_for_wasm(visit: Visit) -> None:
    """By one value that is no number; by one that is a hundredth off, in the page below."""
    script = FORGED_GPU.replace(b"FORGERY", b"data.fill(NaN, 7, 8);")
    with serve_site(changes={"/worker/ort_host.js": lambda code: code + script}) as site:
        visit.open_blank(site)
        answer = visit.run_module(RUN)
    assert answer["stats"]["device"] == "wasm"
    (rejected,) = answer["stats"]["rejected"]
    assert (rejected["device"], rejected["code"]) == ("webgpu", "canary_mismatch")
    assert np.linalg.norm(answer["vector"]) == pytest.approx(1.0, abs=1e-4)


def test_the_page_says_that_the_gpu_was_left(visit: Visit) -> None:
    script = FORGED_GPU.replace(b"FORGERY", b"data[3] += 0.01;")
    with serve_site(changes={"/worker/ort_host.js": lambda code: code + script}) as site:
        visit.open(site, f"{MINILM}&device=webgpu")
        visit.page.get_by_role("button", name="Download").click()
        notice = visit.page.locator(".measured .notice")
        expect(notice).to_contain_text("WebGPU was tried and left", timeout=120_000)
        expect(visit.page.locator(".ranking__row").first).to_contain_text("A pilot landed")
        visit.expect_clean(site)


def test_wrong_answers_on_every_device_are_refused(visit: Visit) -> None:
    script = FORGED_GPU.replace(b"FORGERY", b"data[3] += 0.01;").replace(b"!== 'webgpu'", b"=== ''")
    with serve_site(changes={"/worker/ort_host.js": lambda code: code + script}) as site:
        visit.open_blank(site)
        answer = visit.run_module(RUN)
    assert answer["error"]["code"] == "canary_mismatch"
    assert "webgpu:" in answer["error"]["message"] and "wasm:" in answer["error"]["message"]
