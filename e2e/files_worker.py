"""The files worker without the rest: what a load downloads and keeps, and no Python to boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page

from .sharded_model import ShardedModel

PATIENCE: dict[str, float] = {"attempts": 3, "firstDelay": 0.05, "stall": 1}
"""Of a page whose connection is to be given up soon."""

BEGIN = """({ files, patience, keep }) => {
  const worker = new Worker(new URL('../worker/files_worker.js', location.href), { type: 'module' });
  const hex = async (content) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
    return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  };
  const answer = new Promise((resolve) => {
    worker.onmessage = async ({ data }) => {
      if (data.type === 'error') resolve({ error: data.error });
      if (data.type !== 'result') return;
      const { files, store, contents } = data.value;
      resolve({ files, store, weights: await hex(contents.wasm.weights) });
    };
    worker.onerror = ({ message }) => resolve({ error: { code: 'died', message } });
  });
  const baseUrl = new URL('../models/catalog.json', location.href).href;
  const payload = { files, baseUrl, keep, patience };
  worker.postMessage({ v: 1, id: 1, type: 'prepare', payload });
  window.preparing = { worker, answer };
}"""

FINISH = """async () => {
  const answer = await window.preparing.answer;
  window.preparing.worker.terminate();
  return answer;
}"""


class FilesWorker:
    """A page of the site with a files worker for the model."""

    def __init__(self, page: Page, site: str, model: ShardedModel) -> None:
        self.page = page
        self.model = model
        page.goto(f"{site}examples/embed.html")

    def begin(self, *, patience: Mapping[str, float] = PATIENCE, keep: bool = True) -> None:
        """Begin to prepare the model's files, and do not wait."""
        files = {"wasm": self.model.roles()}
        self.page.evaluate(BEGIN, {"files": files, "patience": {**PATIENCE, **patience}, "keep": keep})

    def finish(self) -> Any:
        """``{files, store, weights}``, the last the sha256 of their content, or ``{error}``; the worker
        is gone then."""
        return self.page.evaluate(FINISH)

    def prepare(self, *, patience: Mapping[str, float] = PATIENCE, keep: bool = True) -> Any:
        self.begin(patience=patience, keep=keep)
        return self.finish()

    def stop(self) -> None:
        """End the worker where it is, as an aborted load does."""
        self.page.evaluate("window.preparing.worker.terminate()")
