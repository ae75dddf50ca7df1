"""A decoder on WebGPU, drawn by SwiftShader: a tiny Llama of the real graph, built from a GGUF.

The answers are random tokens, but the same ones on every device.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pesoleve_worker.catalog import Model

from .chat import Chat, assistant, open_chat, user
from .native_chat import NativeChat
from .server import Change, serve_site
from .tiny_chat import ID, build_tiny_chat
from .visit import Visit

QUESTIONS = ("How much does a feather weigh?", "Leve, não é? 👍", "0123456789" * 7)
MOST = 24

LOSABLE_GPU = b"""
const requestDevice = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...rest) {
  const device = await requestDevice.apply(this, rest);
  new BroadcastChannel('gpu').addEventListener('message', () => device.destroy());
  return device;
};
"""

WRONG_GPU = b"""
const feed = DecoderHost.prototype.feed;
DecoderHost.prototype.feed = async function (...rest) {
  const answer = await feed.apply(this, rest);
  return { ...answer, ids: answer.ids.map((id) => id ^ 1) };
};
"""

LOSE_AFTER_THREE_PIECES = """
  const pieces = [];
  const model = globalThis.models[argument.name];
  const answer = model.generate(argument.messages, argument.options);
  for (;;) {
    const { done, value } = await answer.next();
    if (done) return { pieces, result: value };
    pieces.push(value.text);
    if (pieces.length === 3) new BroadcastChannel('gpu').postMessage('lose it');
  }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny-chat")


@pytest.fixture(scope="module")
def tiny(root: Path) -> Model:
    # In a thread of its own: Playwright's event loop holds this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(build_tiny_chat, root).result()


@pytest.fixture(scope="module")
def expected(tiny: Model, root: Path) -> list[list[int]]:
    """What CPython answers."""

    def answer() -> list[list[int]]:
        native = NativeChat(tiny, root / "models")
        return [native.greedy(question, MOST) for question in QUESTIONS]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(answer).result()


def greedy(chat: Chat) -> list[list[int]]:
    return [chat.ask(question, max_new_tokens=MOST).ids for question in QUESTIONS]


def test_greedy_ids_are_the_same_on_every_device(
    visit: Visit, tiny: Model, root: Path, expected: list[list[int]]
) -> None:
    assert tiny.devices["webgpu"].layout == "blocks"
    with serve_site(models=root / "models") as site:
        visit.open_blank(site)
        gpu = open_chat(visit, "gpu", ID, device="webgpu")
        assert (gpu.stats["device"], gpu.stats["rejected"]) == ("webgpu", [])
        assert gpu.stats["dtype"] == tiny.default_dtype
        answers = [gpu.ask(question, max_new_tokens=MOST) for question in QUESTIONS]
        assert [answer.ids for answer in answers] == expected
        first = gpu.ask(QUESTIONS[0], max_new_tokens=8)
        assert first.result["device"] == "webgpu"
        turns = [user(QUESTIONS[0]), assistant(first.text), user("0123")]
        second = gpu.generate(turns, max_new_tokens=8)
        assert second.result["cached_tokens"] >= first.result["context"]["used"] > 0
        weighed = visit.run_module(
            "return await pesoleve.weigh(argument, { device: 'webgpu', surrogate: true });", ID
        )
        assert (weighed["device"], weighed["basis"]) == ("webgpu", "surrogate")
        assert weighed["tokens_per_second"]["value"] > 0
        cpu = open_chat(visit, "cpu", ID, device="wasm")
        assert cpu.stats["device"] == "wasm"
        assert greedy(cpu) == expected
        cpu.ask(QUESTIONS[0], max_new_tokens=8)
        assert cpu.generate(turns, max_new_tokens=8).ids == second.ids
        visit.expect_clean(site)


def test_a_device_lost_mid_answer_is_left_and_the_answer_goes_on(
    visit: Visit, tiny: Model, root: Path
) -> None:
    assert tiny.id == ID
    messages = [user(QUESTIONS[0])]
    options: dict[str, Any] = {"max_new_tokens": MOST, "seed": 7, "temperature": 0.7}
    changes: dict[str, Change] = {"/worker/compute_worker.js": lambda code: code + LOSABLE_GPU}
    with serve_site(models=root / "models", changes=changes) as site:
        visit.open_blank(site)
        gpu = open_chat(visit, "gpu", ID, device="webgpu")
        undisturbed = gpu.generate(messages, **options)
        assert undisturbed.result["device"] == "webgpu"
        lost = visit.run_module(
            LOSE_AFTER_THREE_PIECES, {"name": "gpu", "messages": messages, "options": options}
        )
        assert "error" not in lost, lost
        assert lost["result"]["device"] == "wasm"
        assert lost["result"]["token_ids"] == undisturbed.ids
        assert lost["result"]["text"] == "".join(lost["pieces"]) == undisturbed.text
        after = gpu.generate(messages, **options)
        assert (after.result["device"], after.ids) == ("wasm", undisturbed.ids)
        assert after.result["cached_tokens"] == after.result["prompt_tokens"] - 1


def test_a_gpu_that_answers_wrongly_is_left_before_it_speaks(
    visit: Visit, root: Path, expected: list[list[int]]
) -> None:
    changes: dict[str, Change] = {"/worker/decoder_host.js": lambda code: code + WRONG_GPU}
    with serve_site(models=root / "models", changes=changes) as site:
        visit.open_blank(site)
        chat = open_chat(visit, "left", ID, device="webgpu")
        assert chat.stats["device"] == "wasm"
        (rejected,) = chat.stats["rejected"]
        assert (rejected["device"], rejected["code"]) == ("webgpu", "canary_mismatch")
        assert greedy(chat) == expected
        visit.expect_clean(site)


def other_golden(change: Callable[[list[list[float]]], None]) -> Change:
    def changed(content: bytes) -> bytes:
        catalog: dict[str, Any] = json.loads(content)
        (entry,) = catalog["models"]
        change(entry["canary"]["outputs"][entry["default_dtype"]])
        return json.dumps(catalog).encode()

    return changed


def test_one_golden_token_that_differs_refuses_every_device(
    visit: Visit, tiny: Model, root: Path
) -> None:
    text, token = 1, 3

    def change(golden: list[list[float]]) -> None:
        golden[text][token] = (golden[text][token] + 1) % tiny.shape.vocabulary

    with serve_site(
        models=root / "models", changes={"/models/catalog.json": other_golden(change)}
    ) as site:
        visit.open_blank(site)
        refused = visit.run_module(
            "await pesoleve.load(argument, { device: 'webgpu' }); return null;", ID
        )
    assert refused["error"]["code"] == "canary_mismatch"
    assert "webgpu:" in refused["error"]["message"] and "wasm:" in refused["error"]["message"]
