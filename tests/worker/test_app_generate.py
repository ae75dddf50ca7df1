"""The worker's ``generate``: cancels, failures, and going on elsewhere as if nothing had been."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pesoleve_worker.app import App, Loaded
from pesoleve_worker.canary import decoder_canary_difference
from pesoleve_worker.catalog import Canary, Model
from pesoleve_worker.errors import Cancelled, CatalogError, InputError, SessionError, WorkerError
from pesoleve_worker.host import Decoder
from tests.sample_entry import sample_model
from tests.worker.app_client import Client
from tests.worker.generation.toy_decoder import EOS
from tests.worker.talker import USER, Pieces, Talker, TwoWays, pipeline, render, said

CANARY = ["abc", "dea"]
COUNT = 4
QUESTION = said("abcde")
PROMPT = [USER, 0, 1, 2, 3, 4, EOS]


def golden(text: str) -> list[float]:
    decoder, ids = Talker(), TwoWays().encode(text, special=True)
    for _ in range(COUNT):
        logits = decoder.logits_after(ids)
        ids.append(logits.index(max(logits)))
    return [float(token) for token in ids[-COUNT:]]


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Model:
    entry = sample_model(tmp_path_factory.mktemp("packed"))
    canary = Canary(CANARY, {"q4": [golden(text) for text in CANARY]}, 1e-3)
    return replace(entry, task="text_generation", pipeline=pipeline(), canary=canary)


CANARY_FEEDS = 3 * len(CANARY)
"""The prompt, one token, and the others at once."""


class Devices:
    """An app, and decoders to open by their device; a device that is not there does not open."""

    def __init__(self, model: Model, **decoders: Talker) -> None:
        self.model = model
        self.decoders = decoders
        self.app = App(asyncio.Lock())
        self.stages: list[str] = []
        self.pieces = Pieces()

    async def open(self, device: str) -> Decoder:
        if device not in self.decoders:
            raise SessionError("session_failed", f"no {device} here")
        return self.decoders[device]

    async def load(self, *devices: str, dtype: str = "q4") -> Loaded:
        return await self.app.load(
            self.model, dtype, devices, TwoWays(), self.open, self.stages.append, render
        )

    async def generate(self, request: int = 1, **options: object) -> dict[str, Any]:
        return await self.app.generate(request, QUESTION, options, self.pieces)


def run(play: Any) -> Any:
    return asyncio.run(play)


def test_a_loaded_model_talks(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        loaded = await devices.load("wasm")
        assert (loaded.device, loaded.canary_difference, loaded.rejected) == ("wasm", 0.0, [])
        assert devices.decoders["wasm"].length == 0
        assert devices.stages == ["session", "warm_up"]
        result = await devices.generate(max_new_tokens=9)
        assert result["text"] == devices.pieces.text
        assert len(result["token_ids"]) == 9
        assert result["device"] == "wasm"

    run(play())


def test_generate_before_load_is_not_loaded(talking: Model) -> None:
    with pytest.raises(WorkerError) as caught:
        run(Devices(talking).generate())
    assert caught.value.code == "not_loaded"


def test_each_task_has_its_own_call(talking: Model, client: Client) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        with pytest.raises(WorkerError, match="no model that makes vectors") as caught:
            await devices.app.run(1, ["a"])
        assert caught.value.code == "not_loaded"
        await client.load("wasm")
        with pytest.raises(WorkerError, match="no model that talks") as caught:
            await client.app.generate(1, QUESTION, {}, Pieces())
        assert caught.value.code == "not_loaded"

    run(play())


def test_unload_releases_the_decoder(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        await devices.app.unload()
        await devices.app.unload()
        assert devices.decoders["wasm"].released == 1
        with pytest.raises(WorkerError):
            await devices.generate()

    run(play())


def test_cancel_before_the_start_feeds_nothing(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        devices.app.cancel(7)
        with pytest.raises(Cancelled):
            await devices.generate(7)
        assert devices.decoders["wasm"].feeds == CANARY_FEEDS
        await devices.generate(7, max_new_tokens=2)  # a cancel is spent

    run(play())


def test_cancel_midway_stops_and_the_next_answer_is_unharmed(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        devices.pieces.then = lambda: devices.app.cancel(1) if devices.pieces.count == 3 else None
        with pytest.raises(Cancelled):
            await devices.generate(1, max_new_tokens=50)
        assert devices.pieces.count == 3
        whole = (await devices.generate(2, max_new_tokens=9))["token_ids"]
        assert whole[:3] == devices.pieces.ids[:3]
        assert (await devices.generate(3, max_new_tokens=9))["token_ids"] == whole

    run(play())


def test_requests_are_answered_one_at_a_time(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        told: list[str] = []
        requests = [
            devices.app.generate(
                n, QUESTION, {"max_new_tokens": 5}, lambda *_, n=n: told.append(str(n))
            )
            for n in (1, 2)
        ]
        await asyncio.gather(*requests)
        assert "".join(told) == "1111122222"

    run(play())


def test_a_wrong_message_leaves_the_model_usable(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        await devices.load("wasm")
        with pytest.raises(InputError):
            await devices.app.generate(1, "hello", {}, Pieces())
        assert (await devices.generate(2, max_new_tokens=3))["finish_reason"] == "length"

    run(play())


OPTIONS: list[dict[str, Any]] = [
    {},
    {"log_probabilities": True, "repetition_penalty": 1.4},
    {"temperature": 1.2, "seed": 3, "log_probabilities": True},
    {"speculative_decoding": False},
    {"stop": ["aaaaa", "ebe"]},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("order", [None, 1])
def test_a_device_lost_at_any_token_goes_on_elsewhere_as_if_it_had_not(
    talking: Model, options: dict[str, Any], order: int | None
) -> None:
    async def play(**decoders: Talker) -> tuple[dict[str, Any], Pieces, Devices]:
        # The canary is not what is tried here.
        devices = Devices(replace(talking, canary=replace(talking.canary, tolerance=1.0)), **decoders)
        await devices.load(*decoders)
        result = await devices.generate(max_new_tokens=14, **options)
        return result, devices.pieces, devices

    undisturbed, pieces, alone = run(play(wasm=Talker(order)))
    for lost in range(alone.decoders["wasm"].feeds - CANARY_FEEDS):
        failing, other = Talker(order, fails_at=CANARY_FEEDS + lost), Talker(order)
        result, told, _ = run(play(webgpu=failing, wasm=other))
        assert result["device"] == "wasm"
        assert (told.text, told.ids) == (pieces.text, pieces.ids)
        assert told.log_probabilities == pytest.approx(pieces.log_probabilities)
        for key in ("text", "token_ids", "finish_reason", "prompt_tokens", "context"):
            assert result[key] == undisturbed[key], key
        assert result["log_probabilities"] == pytest.approx(undisturbed["log_probabilities"])
        assert failing.released == 1
        assert other.released == 0


def test_a_device_lost_at_the_end_of_the_context_goes_on_elsewhere(talking: Model) -> None:
    model = replace(talking, pipeline=pipeline(context=16))

    async def play(fails_at: int | None) -> dict[str, Any]:
        devices = Devices(model, webgpu=Talker(fails_at=fails_at), wasm=Talker())
        await devices.load("webgpu", "wasm")
        return await devices.generate(max_new_tokens=50)

    whole = run(play(None))
    assert whole["finish_reason"] == "context"
    feeds = 1 + 16 - len(PROMPT)
    for lost in range(feeds):
        result = run(play(CANARY_FEEDS + lost))
        assert result["device"] == "wasm"
        for key in ("text", "token_ids", "finish_reason", "context"):
            assert result[key] == whole[key]


def test_the_turn_after_a_move_is_on_the_new_device(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, webgpu=Talker(fails_at=CANARY_FEEDS + 3), wasm=Talker())
        await devices.load("webgpu", "wasm")
        first = await devices.generate(max_new_tokens=6)
        before = devices.decoders["wasm"].feeds
        messages = said("abcde", first["text"], "de")
        second = await devices.app.generate(2, messages, {"max_new_tokens": 6}, Pieces())
        assert second["device"] == "wasm"
        assert second["cached_tokens"] == len(PROMPT) + 6 - 1
        assert devices.decoders["wasm"].feeds == before + 6
        await devices.app.unload()
        assert [devices.decoders[name].released for name in ("webgpu", "wasm")] == [1, 1]

    run(play())


def test_the_last_devices_failure_is_the_callers(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker(fails_at=CANARY_FEEDS + 3))
        await devices.load("wasm")
        with pytest.raises(SessionError, match="the device was lost") as caught:
            await devices.generate()
        assert caught.value.code == "run_failed"

    run(play())


def test_when_no_device_is_left_that_opens_nothing_is_loaded(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, webgpu=Talker(fails_at=CANARY_FEEDS + 3))
        await devices.load("webgpu", "wasm")
        with pytest.raises(SessionError, match="no wasm here"):
            await devices.generate()
        with pytest.raises(WorkerError) as caught:
            await devices.generate()
        assert caught.value.code == "not_loaded"
        await devices.app.unload()
        assert devices.decoders["webgpu"].released == 1

    run(play())


def test_three_devices_may_fail_one_after_another(talking: Model) -> None:
    async def play() -> None:
        lost = {name: Talker(fails_at=CANARY_FEEDS + at) for name, at in (("a", 2), ("b", 1), ("c", 3))}
        devices = Devices(talking, **lost, d=Talker())
        await devices.load("a", "b", "c", "d")
        result = await devices.generate(max_new_tokens=9)
        assert result["device"] == "d"
        alone = Devices(talking, d=Talker())
        await alone.load("d")
        assert (await alone.generate(max_new_tokens=9))["text"] == result["text"]

    run(play())


# --- the canary ---


def test_a_device_that_chooses_wrongly_is_left_for_the_next(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, webgpu=Talker(wrong=True), wasm=Talker())
        loaded = await devices.load("webgpu", "wasm")
        assert loaded.device == "wasm"
        assert [(r.device, r.code) for r in loaded.rejected] == [("webgpu", "canary_mismatch")]
        assert devices.decoders["webgpu"].released == 1

    run(play())


def test_a_device_that_fails_its_canary_is_left_for_the_next(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, webgpu=Talker(fails_at=2), wasm=Talker())
        loaded = await devices.load("webgpu", "wasm")
        assert [(r.device, r.code) for r in loaded.rejected] == [("webgpu", "run_failed")]

    run(play())


def canary_difference(model: Model, decoder: Talker, dtype: str = "q4") -> float:
    return float(run(decoder_canary_difference(model, dtype, decoder, TwoWays())))


def test_the_difference_is_the_share_of_wrong_tokens(talking: Model) -> None:
    assert canary_difference(talking, Talker()) == 0
    changed = [golden(text) for text in CANARY]
    changed[1][-1] = (changed[1][-1] + 1) % 5
    moved = replace(talking, canary=replace(talking.canary, outputs={"q4": changed}))
    assert canary_difference(moved, Talker()) == 1 / 8


def test_one_wrong_token_counts_once(talking: Model) -> None:
    """What follows it is judged after the right one."""
    changed = [golden(text) for text in CANARY]
    decoder = Talker()
    ids = [*TwoWays().encode("abc", special=True)]
    first = changed[0]
    first[0] = (first[0] + 1) % 5
    for at in range(1, COUNT):  # what the decoder says after the changed first
        logits = decoder.logits_after([*ids, *map(int, first[:at])])
        first[at] = float(logits.index(max(logits)))
    moved = replace(talking, canary=replace(talking.canary, outputs={"q4": changed}))
    assert canary_difference(moved, Talker()) == 1 / 8


def test_the_canary_leaves_the_cache_empty(talking: Model) -> None:
    decoder = Talker()
    canary_difference(talking, decoder)
    assert decoder.length == 0


def test_a_dtype_without_a_canary_is_refused(talking: Model) -> None:
    with pytest.raises(CatalogError, match="'sample' has no canary for 'q8'"):
        canary_difference(talking, Talker(), "q8")


def test_a_canary_of_no_tokens_proves_nothing(talking: Model) -> None:
    empty = replace(talking, canary=replace(talking.canary, outputs={"q4": [[], []]}))
    assert canary_difference(empty, Talker()) == float("inf")


def test_a_model_without_its_template_is_refused_and_released(talking: Model) -> None:
    async def play() -> None:
        devices = Devices(talking, wasm=Talker())
        with pytest.raises(CatalogError, match="came without its template"):
            await devices.app.load(talking, "q4", ["wasm"], TwoWays(), devices.open)
        assert devices.decoders["wasm"].released == 1

    run(play())
