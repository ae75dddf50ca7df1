"""What the benchmarks slow down is as slow as they say: a CPU, and a connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bench.slow_connection import CHUNK, Line
from .bench.slow_renderer import slowed

TIMES = 4


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
def test_a_slow_connection_gives_all_that_it_has_to_one_stream_or_to_several(streams: int) -> None:
    rate, late = 12.5e6, 0.001
    line = Line(rate)
    wakes = [1.0] * streams  # each sleeps a millisecond too long, every time
    for _ in range(100):
        stream = wakes.index(min(wakes))
        wakes[stream] += line.wait(CHUNK, wakes[stream]) + late
    assert max(wakes) - 1 == pytest.approx(100 * CHUNK / rate, rel=0.02)


def test_a_connection_that_was_idle_has_saved_nothing_up() -> None:
    line = Line(rate=1000)
    assert line.wait(500, now=10) == pytest.approx(0.5)
    assert line.wait(500, now=60) == pytest.approx(0.5)
    assert line.wait(500, now=60) == pytest.approx(1)
