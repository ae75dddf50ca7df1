"""A browser with a profile on the disk, which outlives it; it may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Playwright


@dataclass
class LastingBrowser:
    context: BrowserContext
    profile: Path
    killed: bool = False

    def kill(self) -> None:
        """End it as a crash or the system would, with no chance to tidy up."""
        with self.context.expect_event("close"):
            for process in self._processes():
                os.kill(process, signal.SIGKILL)
        self.killed = True

    def _processes(self) -> list[int]:
        """The browser of this profile, which takes its renderers with it."""
        option = f"--user-data-dir={self.profile}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if option in words and not any(word.startswith(b"--type=") for word in words):
                found.append(int(path.parent.name))
        assert found, "the browser is not running"
        return found


OpenProfile = Callable[[], AbstractContextManager[LastingBrowser]]


@contextmanager
def open_browser(
    playwright: Playwright, profile: Path, launch: dict[str, Any], context: dict[str, Any]
) -> Iterator[LastingBrowser]:
    """Open a browser with the profile in this directory until the block ends."""
    opened = playwright.chromium.launch_persistent_context(profile, **launch, **context)
    browser = LastingBrowser(opened, profile)
    try:
        yield browser
    finally:
        if not browser.killed:
            opened.close()
