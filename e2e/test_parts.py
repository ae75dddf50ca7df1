"""Weights read from the disk in parts, by handles that the browser opens for one at a time."""

from __future__ import annotations

from playwright.sync_api import Page

from .visit import Visit

PARTS = """
const { Parts } = await import(new URL('../worker/parts.js', location.href));
const { lockName } = await import(new URL('../js/stored.js', location.href));
let open = 0;
const part = (sha256, content) => ({
  sha256,
  bytes: content.length,
  handle: {
    // A page has none; a worker's handle is as busy as this while it is open.
    async createSyncAccessHandle() {
      open += 1;
      return {
        read(into, { at }) {
          const bytes = content.slice(at, at + into.length);
          into.set(bytes);
          return bytes.length;
        },
        close: () => void (open -= 1),
      };
    },
  },
  content: null,
});
const isFree = (sha256) =>
  navigator.locks.request(lockName(sha256), { ifAvailable: true }, (lock) => lock !== null);
// A lock that is given back takes a moment to be there.
const becomesFree = (sha256) =>
  navigator.locks
    .request(lockName(sha256), { signal: AbortSignal.timeout(5000) }, () => true)
    .catch(() => false);
const [first, last] = [part('a', [1, 2, 3]), part('b', [4, 5])];
const inMemory = { sha256: 'c', bytes: 2, handle: null, content: new Uint8Array([6, 7]) };
const parts = await Promise.race([
  Parts.open([first, last, first, inMemory]),
  new Promise((_, reject) => setTimeout(() => reject(new Error('it waits for itself')), 5000)),
]);
const seen = { open, free: [await isFree('a'), await isFree('b')] };
seen.read = [[0, 10], [2, 4], [5, 9]].map(([start, end]) => [...parts.read(start, end)]);
parts.close();
seen.closed = open;
seen.released = [await becomesFree('a'), await becomesFree('b')];
const broken = part('d', [8]);
broken.handle.createSyncAccessHandle = async () => {
  throw new Error('gone');
};
seen.error = await Parts.open([first, broken]).catch(({ message }) => message);
seen.left = [open, await becomesFree('a'), await becomesFree('d')];
const short = await Parts.open([{ ...first, bytes: 4 }]);
try {
  short.read(0, 4);
} catch ({ message }) {
  seen.short = message;
}
short.close();
return seen;
"""


def test_each_file_is_held_once_and_until_it_is_closed(page: Page, isolated_site: str) -> None:
    """A catalog may name a file twice among a model's shards."""
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(PARTS) == {
        "open": 2,
        "free": [False, False],
        "read": [[1, 2, 3, 4, 5, 1, 2, 3, 6, 7], [3, 4], [1, 2, 3, 6]],
        "closed": 0,
        "released": [True, True],
        "error": "gone",
        "left": [0, True, True],
        "short": "a ends before byte 4",
    }
