"""What the benchmarks slow down is as slow as they say: a CPU, and a connection."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from .bench.slow_connection import SlowConnection
from .bench.slow_renderer import slowed

TIMES = 4
MEGABITS = 100
LATENCY_SECONDS = 0.02


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that takes all of a CPU that it gets."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_slowed_process_runs_for_its_share_and_goes_on_after(busy: int) -> None:
    with slowed([busy], TIMES):
        before, begun = cpu_seconds(busy), time.perf_counter()
        time.sleep(1)
        share = (cpu_seconds(busy) - before) / (time.perf_counter() - begun)
    # A machine with more to do gives it less, and never more.
    assert 0.02 < share < 1.5 / TIMES
    assert state(busy) != "T"


def test_what_is_not_slowed_says_so() -> None:
    with pytest.raises(ValueError, match="no process to slow"), slowed([], TIMES):
        pass


@pytest.mark.parametrize("streams", [1, 3])
def test_a_slow_connection_gives_all_that_it_has_to_one_stream_or_to_several(
    streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(1_000_000)
    taken = asyncio.run(_seconds(body, streams, monkeypatch))
    assert taken == pytest.approx(LATENCY_SECONDS + streams * len(body) * 8e-6 / MEGABITS, rel=0.02)


async def _seconds(body: bytes, streams: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """By a clock on which every sleep lasts a millisecond too long, as they do."""
    late = 0.001
    now = 0.0
    wakers: list[tuple[float, asyncio.Event]] = []

    async def sleep(seconds: float) -> None:
        waker = asyncio.Event()
        wakers.append((now + (seconds + late if seconds > 0 else 0), waker))
        await waker.wait()

    class Clock:
        def time(self) -> float:
            return now

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio, "get_running_loop", Clock)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def receive() -> Message:
        raise AssertionError("nothing is received")

    async def sent(message: Message) -> None:
        pass

    connection = SlowConnection(app, MEGABITS * 1e6 / 8, LATENCY_SECONDS)
    tasks = [asyncio.ensure_future(connection({"type": "http"}, receive, sent)) for _ in range(streams)]
    while not all(task.done() for task in tasks):
        for _ in range(10):  # let everything get to where it waits
            ready = asyncio.get_event_loop().create_future()
            asyncio.get_event_loop().call_soon(ready.set_result, None)
            await ready
        if wakers:
            wakers.sort(key=lambda waker: waker[0])
            now, waker = wakers.pop(0)
            waker.set()
    for task in tasks:
        task.result()
    return now
