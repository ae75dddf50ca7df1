"""A page that nobody looks into: Chromium is started on it, and it tells its own server what it found.

Whatever drives a browser over its debugging protocol has it keep what arrives over the network, in the
very process whose memory is measured, and tells of every piece as it comes. Playwright's page holds the
WebAssembly of ONNX Runtime and of Python once more, in base64: 32 MB that no visitor has.
"""

from __future__ import annotations

import json
import queue
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .. import chromium
from ..renderer_memory import peak_beside, renderers

PAGE = "unobserved.html"
PATIENCE_SECONDS = 300


@dataclass
class Desk:
    """Where the page takes its task from, and brings the answer to."""

    task: dict[str, Any] = field(default_factory=dict)
    answers: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def routes(self) -> list[Route]:
        return [
            Route("/task", self._give, methods=["GET"]),
            Route("/answer", self._take, methods=["POST"]),
        ]

    def _give(self, _: Request) -> Response:
        return JSONResponse(self.task)

    async def _take(self, request: Request) -> Response:
        self.answers.put(await request.json())
        return Response(status_code=204)


def visit(
    desk: Desk, address: str, profile: Path, body: str, argument: object
) -> tuple[dict[str, Any], int]:
    """Run an async function body with ``argument`` in a new browser with this profile.

    Returns:
        What it returned, and the peak of the page's renderer in bytes.

    Raises:
        RuntimeError: with what the page threw, or when it never answered.
    """
    desk.task = {"body": body, "argument": argument}
    before = set(renderers())
    options = ["--headless", *chromium.FLAGS, f"--user-data-dir={profile}", f"{address}{PAGE}"]
    browser = subprocess.Popen(
        [chromium.find() or "chromium", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        answer = desk.answers.get(timeout=PATIENCE_SECONDS)
        peak = peak_beside(before)
    except queue.Empty:
        raise RuntimeError(f"the page did not answer within {PATIENCE_SECONDS} s") from None
    finally:
        browser.terminate()
        browser.wait()
    if "error" in answer:
        raise RuntimeError(json.dumps(answer["error"]))
    result: dict[str, Any] = answer["result"]
    return result, peak
