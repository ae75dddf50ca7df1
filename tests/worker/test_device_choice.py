"""Which device a load settles on: the first that opens and answers its canary rightly."""

from __future__ import annotations

import pytest

from pesoleve_worker.errors import CatalogError, SessionError, WorkerError
from tests.worker.app_client import Client, scene


@scene
async def test_load_settles_on_the_first_device_that_answers_rightly(client: Client) -> None:
    loaded = await client.load("webgpu", "wasm")
    assert loaded.device == "webgpu"
    assert loaded.canary_difference < 1e-5
    assert loaded.rejected == []
    assert list(client.opened) == ["webgpu"]
    assert client.stages == ["session", "warm_up"]


@scene
async def test_a_device_that_answers_wrongly_is_left_for_the_next(client: Client) -> None:
    client.errors["webgpu"] = 0.1
    loaded = await client.load("webgpu", "wasm")
    assert loaded.device == "wasm"
    (rejected,) = loaded.rejected
    assert (rejected.device, rejected.code) == ("webgpu", "canary_mismatch")
    assert "0.1" in rejected.message
    assert "0.001" in rejected.message
    assert client.opened["webgpu"].released
    assert not client.opened["wasm"].released
    assert client.stages == ["session", "warm_up"] * 2


@scene
async def test_a_device_that_answers_nan_is_left_for_the_next(client: Client) -> None:
    client.errors["webgpu"] = float("nan")
    loaded = await client.load("webgpu", "wasm")
    assert loaded.device == "wasm"
    assert [rejected.code for rejected in loaded.rejected] == ["canary_mismatch"]
    assert client.opened["webgpu"].released


@scene
async def test_a_device_that_does_not_open_is_left_for_the_next(client: Client) -> None:
    client.refusing.add("webgpu")
    loaded = await client.load("webgpu", "wasm")
    assert loaded.device == "wasm"
    (rejected,) = loaded.rejected
    assert (rejected.code, rejected.message) == ("session_failed", "no webgpu here")


@scene
async def test_when_every_device_fails_each_is_named_and_nothing_is_loaded(client: Client) -> None:
    client.refusing.add("webgpu")
    client.errors["wasm"] = 0.1
    with pytest.raises(SessionError, match=r"webgpu: no webgpu here; wasm: .*wrongly") as caught:
        await client.load("webgpu", "wasm")
    assert caught.value.code == "canary_mismatch"
    assert client.opened["wasm"].released
    with pytest.raises(WorkerError):
        await client.app.run(1, ["a cat"])


@scene
async def test_no_device_to_try_is_a_wrong_option(client: Client) -> None:
    with pytest.raises(CatalogError) as caught:
        await client.load()
    assert caught.value.code == "option_invalid"


@scene
async def test_a_dtype_without_a_canary_is_refused_and_its_session_released(client: Client) -> None:
    with pytest.raises(CatalogError, match="no canary for 'q4'"):
        await client.load("wasm", dtype="q4")
    assert client.opened["wasm"].released


@scene
async def test_a_session_is_released_whatever_goes_wrong_while_warming_up(client: Client) -> None:
    def breaks(text: str, special: bool = True) -> list[int]:
        raise RuntimeError(f"the tokenizer broke on {text!r}, {special}")

    client.tokenizer.encode = breaks  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await client.load("wasm")
    assert client.opened["wasm"].released
