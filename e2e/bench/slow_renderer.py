"""A slower CPU: the page's renderer runs for a share of the time, all of its threads.

Chromium's own throttle (CDP ``Emulation.setCPUThrottlingRate``) slows the main thread alone, and models
run in workers. Stopping the process and letting it go on, hundreds of times a second, slows everything.

What does it is a process of its own, in real time where the system allows that: a thread among others
wakes late when all CPUs are busy, and what should be a slow CPU is a fast one that halts for long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

RUNNING_SECONDS = 0.004
"""Of less, a good part goes by before all threads of a process have woken."""


@contextmanager
def slowed(processes: Iterable[int], times: float) -> Iterator[None]:
    """Let ``processes`` run for one part in ``times`` until the block ends.

    Raises:
        ValueError: there is no process to slow.
    """
    found = [str(process) for process in processes]
    if not found:
        raise ValueError("no process to slow")
    if times == 1:
        yield
        return
    alternating = subprocess.Popen([sys.executable, "-m", __name__, str(times), *found])
    try:
        yield
    finally:
        alternating.terminate()
        alternating.wait()


def alternate(processes: list[int], times: float) -> None:
    """Stop them and let them go on, until this process is told to end, or they have ended."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        going_since = time.perf_counter()
        while send(signal.SIGSTOP, processes):
            # If this woke late after all, they ran for longer than was meant.
            ran = time.perf_counter() - going_since
            time.sleep(ran * (times - 1))
            send(signal.SIGCONT, processes)
            going_since = time.perf_counter()
            time.sleep(RUNNING_SECONDS)
    finally:
        send(signal.SIGCONT, processes)


def send(what: signal.Signals, processes: list[int]) -> int:
    """Return how many of them are still there to get it."""
    reached = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)
            reached += 1
    return reached


if __name__ == "__main__":
    alternate([int(process) for process in sys.argv[2:]], float(sys.argv[1]))
