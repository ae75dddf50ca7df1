"""How much memory a page's renderer process took at its peak, from /proc: Linux only."""

from __future__ import annotations

import os
from pathlib import Path


def renderers() -> dict[int, int]:
    """Return this process's Chromium renderers: process id to peak resident bytes (VmHWM)."""
    peaks: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"--type=renderer" in command and _descends(int(process.name), os.getpid()):
                peaks[int(process.name)] = _peak(process)
        except (OSError, ValueError):
            continue  # it ended while we looked
    return peaks


def peak_beside(known: set[int]) -> int:
    """Return the highest peak of the renderers that are not ``known``, in bytes."""
    peaks = [peak for process, peak in renderers().items() if process not in known]
    return max(peaks, default=0)


def _peak(process: Path) -> int:
    for line in (process / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _descends(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
    return False
