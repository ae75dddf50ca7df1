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
    const sha256 = async (bytes) => {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    };
    const end = Math.max(0, content.byteLength - 32);
    const last = [...new Uint8Array(content, end)].map((byte) => byte.toString(16).padStart(2, '0'));
    const settled = last.join('') === (await sha256(content.slice(0, end)));
    held.push([name, content.byteLength, await sha256(content), settled]);
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
    """As it travels; or ``settled``, decoded, with the content's hash behind it."""

    bytes: int
    sha256: str
    settled: bool


def held(page: Page) -> dict[str, Held]:
    """By name."""
    return {name: Held(*told) for name, *told in page.evaluate(HELD)}


def held_bytes(page: Page, files: Sequence[File]) -> dict[str, int]:
    """Of each file by path, as it travels; 0 of what is not there."""
    found = held(page)

    def size(file: File) -> int:
        kept = found.get(file.sha256)
        return 0 if kept is None else file.bytes if kept.settled else kept.bytes

    return {file.path: size(file) for file in files}


def until_held(page: Page, file: File, bytes_: int | None = None) -> None:
    """Wait until just so many bytes of a file are there, or all."""
    size = settled_bytes(file) if bytes_ is None else bytes_
    page.evaluate(UNTIL_HELD, {"sha256": file.sha256, "bytes": size})


def settled_bytes(file: File) -> int:
    """Return what a whole file takes on the disk: what it decodes to, and a SHA-256."""
    return file.decoded_bytes + 32


def spoil(page: Page, file: File, at: int) -> None:
    """Let a byte go bad where it lies, or be one too many."""
    page.evaluate(WRITE, {"sha256": file.sha256, "at": at})


def clear(page: Page) -> None:
    """Forget everything."""
    page.evaluate(CLEAR)


def expect_sound(page: Page, files: Sequence[File]) -> None:
    """What has a file's full length is that file, and nothing is there that is none of them."""
    wanted = {file.sha256: file for file in files}
    for name, found in held(page).items():
        if "." in name:
            continue  # a server's name for what is under way, or a copy that is being made
        file = wanted[name]
        if found.settled:
            assert found.bytes == settled_bytes(file)
        else:
            assert found.bytes <= file.bytes
            assert found.bytes < file.bytes or found.sha256 == name


def expect_whole(page: Page, files: Sequence[File]) -> None:
    """All of them are there and settled, and nothing else."""
    kept = {name: found for name, found in held(page).items() if "." not in name}
    assert {name: (found.bytes, found.settled) for name, found in kept.items()} == {
        file.sha256: (settled_bytes(file), True) for file in files
    }
