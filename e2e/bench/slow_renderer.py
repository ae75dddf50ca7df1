"""A slower CPU: the page's renderer runs for a share of the time, all of its threads.

Chromium's own throttle (CDP ``Emulation.setCPUThrottlingRate``) slows the main thread alone, and models
run in workers. Stopping the process and letting it go on, a few hundred times a second, slows
everything."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

RUNNING_SECONDS = 0.002


@contextmanager
def slowed(processes: Iterable[int], times: float) -> Iterator[None]:
    """Let ``processes`` run for one part in ``times`` until the block ends."""
    found = list(processes)
    done = threading.Event()

    def alternate() -> None:
        going_since = time.perf_counter()
        while not done.is_set():
            for process in found:
                os.kill(process, signal.SIGSTOP)
            # Where all CPUs are busy this thread wakes late, and they ran for longer than was meant.
            ran = time.perf_counter() - going_since
            time.sleep(ran * (times - 1))
            for process in found:
                os.kill(process, signal.SIGCONT)
            going_since = time.perf_counter()
            time.sleep(RUNNING_SECONDS)

    if times == 1:
        yield
        return
    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
