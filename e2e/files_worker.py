"""The files worker without the rest: what a load downloads and keeps, and no Python to boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from pesoleve_worker.catalog import File

from .sharded_model import ShardedModel

PATIENCE: dict[str, float] = {"attempts": 3, "firstDelay": 0.05, "stall": 1.5}
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
  const payload = { files, baseUrl, keep, patience, layout: 'file', keepPlanes: false };
  worker.postMessage({ v: 1, id: 1, type: 'prepare', payload });
  window.preparing = { worker, answer };
}"""

FINISH = """async () => {
  const answer = await window.preparing.answer;
  window.preparing.worker.terminate();
  return answer;
}"""

HELD = """async () => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('pesoleve-models', { create: true });
  const held = [];
  for await (const [name, handle] of folder.entries()) {
    const file = await handle.getFile().catch(() => null);
    if (file === null) continue; // a worker that is stopping took it away just now
    const content = await file.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    held.push([name, content.byteLength, sha256]);
  }
  return held;
}"""

UNTIL_HELD = """async ({ sha256, bytes }) => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('pesoleve-models', { create: true });
  const end = performance.now() + 30_000;
  for (let size = -1; size !== bytes; await new Promise((resume) => setTimeout(resume, 20))) {
    if (performance.now() > end) throw new Error(`${sha256} stays at ${size} of ${bytes} bytes`);
    const handle = await folder.getFileHandle(sha256).catch(() => null);
    size = handle === null ? -1 : (await handle.getFile()).size;
  }
}"""

CLEAR = """async () => {
  window.preparing?.worker.terminate();
  const root = await navigator.storage.getDirectory();
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      await root.removeEntry('pesoleve-models', { recursive: true });
    } catch (error) {
      if (error.name === 'NotFoundError') return;
      // A file is open in a worker until it has really stopped.
      if (error.name !== 'NoModificationAllowedError' || performance.now() > end) throw error;
      await new Promise((resume) => setTimeout(resume, 20));
    }
  }
}"""

FLIP = """async ({ sha256, at }) => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('pesoleve-models');
  const handle = await folder.getFileHandle(sha256);
  const content = new Uint8Array(await (await handle.getFile()).arrayBuffer());
  const writing = await handle.createWritable({ keepExistingData: true });
  await writing.write({ type: 'write', position: at, data: new Uint8Array([content[at] ^ 1]) });
  await writing.close();
}"""


@dataclass(frozen=True)
class Held:
    bytes: int
    sha256: str


class FilesWorker:
    """A page of the site with a files worker for the model, and the origin's private file system."""

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

    def clear(self) -> None:
        """End the worker, and forget everything."""
        self.page.evaluate(CLEAR)

    def held(self) -> dict[str, Held]:
        """What is in the file system, by name."""
        return {name: Held(size, sha256) for name, size, sha256 in self.page.evaluate(HELD)}

    def until_held(self, file: File, bytes_: int) -> None:
        """Wait until just so many bytes of a file are there."""
        self.page.evaluate(UNTIL_HELD, {"sha256": file.sha256, "bytes": bytes_})

    def flip(self, file: File, at: int) -> None:
        """Let a byte go bad where it lies."""
        self.page.evaluate(FLIP, {"sha256": file.sha256, "at": at})


def bytes_held(held: dict[str, Held], files: Sequence[File]) -> dict[str, int]:
    """By path; 0 for what is not there."""
    return {file.path: held[file.sha256].bytes if file.sha256 in held else 0 for file in files}


def expect_sound(held: dict[str, Held], files: Sequence[File]) -> None:
    """What has a file's full length is that file; nothing is there that is none of them."""
    sizes = {file.sha256: file.bytes for file in files}
    for name, found in held.items():
        if "." in name:
            continue  # a server's name for what is under way
        assert found.bytes <= sizes[name]
        if found.bytes == sizes[name]:
            assert found.sha256 == name


def expect_whole(held: dict[str, Held], files: Sequence[File]) -> None:
    """All of them, and nothing else."""
    kept = {name: found for name, found in held.items() if "." not in name}
    assert kept == {file.sha256: Held(file.bytes, file.sha256) for file in files}
