"""The KV cache in ONNX Runtime's heap: what is in it stays, whether or not there is room for more."""

from __future__ import annotations

from playwright.sync_api import Page

from .visit import Visit

KV_CACHE = """
const { KvCache } = await import(new URL('../worker/kv_cache.js', location.href));
const [COUNT, HEADS, SIZE] = [4, 3, 2];
const blocks = new Map(); // what is lent, by address
let top = 64;
let room = 1 << 16;
const module = {
  HEAPU8: new Uint8Array(1 << 20),
  _malloc(bytes) {
    const lent = [...blocks.values()].reduce((sum, size) => sum + size, 0);
    if (lent + bytes > room) return 0;
    blocks.set(top, bytes);
    top += bytes;
    return top - bytes;
  },
  _free: (at) => void blocks.delete(at),
  _OrtCreateTensor: (type, data) => data,
  _OrtReleaseTensor() {},
  setValue() {},
};
const cache = new KvCache(module, COUNT, [HEADS, SIZE]);
const rows = () => cache.rows().map((at) => [...new Float32Array(module.HEAPU8.buffer, at, 6)].join());
cache.reserve(40, 0);
cache.rows().forEach((at, i) => new Float32Array(module.HEAPU8.buffer, at, 6).set([i, 1, 2, 3, 4, 5]));
const before = rows();
const lent = () => blocks.size;
const seen = { capacity: [cache.capacity], lent: [lent()] };
cache.reserve(50, 3); // there is room for it
seen.unmoved = rows().join() === before.join();
cache.reserve(70, 3);
seen.capacity.push(cache.capacity);
seen.lent.push(lent());
seen.kept = rows().join() === before.join();
try {
  cache.reserve(100_000, 3);
} catch (error) {
  seen.error = error.message;
}
seen.capacity.push(cache.capacity);
seen.lent.push(lent());
seen.keptStill = rows().join() === before.join();
cache.free();
seen.lent.push(lent());
return seen;
"""


def test_what_is_in_it_stays(page: Page, isolated_site: str) -> None:
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(KV_CACHE) == {
        "capacity": [64, 128, 128],
        "lent": [4, 4, 4, 0],
        "unmoved": True,
        "kept": True,
        "keptStill": True,
        "error": "no memory for a KV cache of 125056 tokens",
    }
