"""What a page has left in the origin's private file system: looked at, waited for, damaged, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Page

from pesoleve_worker.catalog import File

HELD = """async () => {
  // A worker that is stopping may take a file away, or change it, while it is read.
  const contentOf = async (handle) => {
    try {
      return await (await handle.getFile()).arrayBuffer();
    } catch ({ name }) {
      if (name === 'NotFoundError') return null;
      if (name === 'NotReadableError') return await contentOf(handle);
      throw new Error(name);
    }
  };
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('pesoleve-models', { create: true });
  const held = [];
  for await (const [name, handle] of folder.entries()) {
    const content = await contentOf(handle);
    if (content === null) continue;
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
    const handle = await folder.getFileHandle(sha256).catch((error) => {
      if (error.name !== 'NotFoundError') throw error;
      return null;
    });
    size = handle === null ? -1 : (await handle.getFile()).size;
  }
}"""

WRITE = """async ({ sha256, at }) => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('pesoleve-models');
  const handle = await folder.getFileHandle(sha256);
  const content = new Uint8Array(await (await handle.getFile()).arrayBuffer());
  const { onceReleased } = await import(new URL('../js/stored.js', location.href));
  const writing = await onceReleased(() => handle.createWritable({ keepExistingData: true }));
  await writing.write({ type: 'write', position: at, data: new Uint8Array([content[at] ^ 1]) });
  await writing.close();
}"""

CLEAR = """async () => {
  const root = await navigator.storage.getDirectory();
  const { onceReleased } = await import(new URL('../js/stored.js', location.href));
  await onceReleased(() => root.removeEntry('pesoleve-models', { recursive: true }));
}"""


@dataclass(frozen=True)
class Held:
    bytes: int
    sha256: str


def held(page: Page) -> dict[str, Held]:
    """By name."""
    return {name: Held(size, sha256) for name, size, sha256 in page.evaluate(HELD)}


def held_bytes(page: Page, files: Sequence[File]) -> dict[str, int]:
    """Of each file by path; 0 of what is not there."""
    found = held(page)
    return {file.path: found[file.sha256].bytes if file.sha256 in found else 0 for file in files}


def until_held(page: Page, file: File, bytes_: int | None = None) -> None:
    """Wait until just so many bytes of a file are there, or all."""
    wanted = file.bytes if bytes_ is None else bytes_
    page.evaluate(UNTIL_HELD, {"sha256": file.sha256, "bytes": wanted})


def spoil(page: Page, file: File, at: int) -> None:
    """Let a byte go bad where it lies, or be one too many."""
    page.evaluate(WRITE, {"sha256": file.sha256, "at": at})


def clear(page: Page) -> None:
    """Forget everything."""
    page.evaluate(CLEAR)


def expect_sound(page: Page, files: Sequence[File]) -> None:
    """What has a file's full length is that file, and nothing is there that is none of them."""
    sizes = {file.sha256: file.bytes for file in files}
    for name, found in held(page).items():
        if "." in name:
            continue  # a server's name for what is under way
        assert found.bytes <= sizes[name]
        if found.bytes == sizes[name]:
            assert found.sha256 == name


def expect_whole(page: Page, files: Sequence[File]) -> None:
    """All of them are there, and nothing else."""
    kept = {name: found for name, found in held(page).items() if "." not in name}
    assert kept == {file.sha256: Held(file.bytes, file.sha256) for file in files}
