from __future__ import annotations

import asyncio

import numpy as np
import pytest

from pesoleve_worker.errors import Cancelled, InputError, WorkerError
from tests.worker.app_client import Client, scene

INPUTS = ["a cat is under the street", "how much is a feather"]


@scene
async def test_a_loaded_model_runs(client: Client) -> None:
    await client.load("wasm")
    (batch,) = await client.app.run(1, client.model.canary.inputs)
    rows = np.asarray(batch.vectors.native)
    golden = client.model.canary.outputs["fp32"]
    for index, row in zip(batch.indices, rows, strict=True):
        np.testing.assert_allclose(row, golden[index], atol=1e-5)


@scene
async def test_run_before_load_is_not_loaded(client: Client) -> None:
    with pytest.raises(WorkerError) as caught:
        await client.app.run(1, INPUTS)
    assert caught.value.code == "not_loaded"


@scene
async def test_unload_releases_the_session_and_may_come_twice(client: Client) -> None:
    await client.load("wasm")
    await client.app.unload()
    await client.app.unload()
    assert client.opened["wasm"].released
    with pytest.raises(WorkerError, match="no model"):
        await client.app.run(1, INPUTS)


@scene
async def test_a_second_load_releases_the_first(client: Client) -> None:
    await client.load("webgpu")
    await client.load("wasm")
    assert client.opened["webgpu"].released
    assert not client.opened["wasm"].released


@scene
async def test_requests_run_one_at_a_time_in_the_order_they_came(client: Client) -> None:
    await client.load("wasm")
    session = client.opened["wasm"]
    session.log.clear()
    finished: list[int] = []

    async def request(number: int) -> None:
        await client.app.run(number, ["a cat"] * 40)
        finished.append(number)

    await asyncio.gather(*(request(number) for number in (1, 2, 3)))
    assert finished == [1, 2, 3]
    assert session.log == ["begin", "end"] * 6


@scene
async def test_a_run_that_fails_does_not_hold_up_the_next(client: Client) -> None:
    await client.load("wasm")
    failed, done = await asyncio.gather(
        client.app.run(1, "not a list"), client.app.run(2, INPUTS), return_exceptions=True
    )
    assert isinstance(failed, InputError)
    assert isinstance(done, list)


@scene
async def test_a_device_that_cannot_let_go_is_left_for_what_it_answered(client: Client) -> None:
    client.errors["webgpu"] = 1.0
    client.stuck.add("webgpu")
    loaded = await client.load("webgpu", "wasm")
    assert loaded.device == "wasm"
    assert [(left.device, left.code) for left in loaded.rejected] == [("webgpu", "canary_mismatch")]


@scene
async def test_cancel_before_the_start_runs_nothing(client: Client) -> None:
    await client.load("wasm")
    session = client.opened["wasm"]
    session.log.clear()
    waiting = asyncio.ensure_future(client.app.run(7, INPUTS))
    client.app.cancel(7)
    with pytest.raises(Cancelled) as caught:
        await waiting
    assert caught.value.code == "aborted"
    assert session.log == []


@scene
async def test_cancel_between_batches_stops_that_request_and_no_other(client: Client) -> None:
    await client.load("wasm")
    session = client.opened["wasm"]
    session.log.clear()
    first = asyncio.ensure_future(client.app.run(1, ["a cat"] * 100))
    second = asyncio.ensure_future(client.app.run(2, INPUTS))
    while "begin" not in session.log:
        await asyncio.sleep(0)
    client.app.cancel(1)
    with pytest.raises(Cancelled):
        await first
    assert len(await second) == 1
    assert session.log == ["begin", "end"] * 2


@scene
async def test_a_request_that_is_cancelled_while_it_waits_never_starts(client: Client) -> None:
    await client.load("wasm")
    session = client.opened["wasm"]
    session.log.clear()
    first = asyncio.ensure_future(client.app.run(1, INPUTS))
    second = asyncio.ensure_future(client.app.run(2, INPUTS))
    while "begin" not in session.log:
        await asyncio.sleep(0)
    client.app.cancel(2)
    assert len(await first) == 1
    with pytest.raises(Cancelled):
        await second
    assert session.log == ["begin", "end"]


@scene
async def test_a_cancel_is_spent_on_the_run_it_stopped(client: Client) -> None:
    await client.load("wasm")
    client.app.cancel(1)
    with pytest.raises(Cancelled):
        await client.app.run(1, INPUTS)
    assert len(await client.app.run(1, INPUTS)) == 1
