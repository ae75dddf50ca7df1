"""The KV cache in ONNX Runtime's heap: what is in it stays, whether or not there is room for more."""

from __future__ import annotations

from playwright.sync_api import Page

from .visit import Visit

HEAP = """
const blocks = new Map(); // what is lent, by address
let top = 64;
let room = 1 << 17;
const module = {
  HEAPU8: new Uint8Array(1 << 20),
  _malloc(bytes) {
    if (lent() + bytes > room) return 0;
    const at = top;
    blocks.set(at, bytes);
    top += 16 * Math.ceil(bytes / 16);
    return at;
  },
  _free: (at) => void blocks.delete(at),
  _OrtCreateTensor: (type, data) => data,
  _OrtReleaseTensor() {},
  setValue() {},
  lengthBytesUTF8: (text) => text.length,
  stringToUTF8() {},
};
const lent = () => [...blocks.values()].reduce((sum, size) => sum + size, 0);
"""
KV_CACHE = """
const { KvCache } = await import(new URL('../worker/kv_cache.js', location.href));
const [COUNT, HEADS, SIZE] = [4, 3, 2];
const cache = new KvCache(module, COUNT, [HEADS, SIZE]);
const rows = () => cache.rows().map((at) => [...new Float32Array(module.HEAPU8.buffer, at, 6)].join());
cache.reserve(40, 0);
cache.rows().forEach((at, i) => new Float32Array(module.HEAPU8.buffer, at, 6).set([i, 1, 2, 3, 4, 5]));
const before = rows();
const seen = { capacity: [cache.capacity], lent: [blocks.size] };
cache.reserve(50, 3); // there is room for it
seen.unmoved = rows().join() === before.join();
cache.reserve(70, 3);
seen.capacity.push(cache.capacity);
seen.lent.push(blocks.size);
seen.kept = rows().join() === before.join();
try {
  cache.reserve(100_000, 3);
} catch (error) {
  seen.error = error.message;
}
seen.capacity.push(cache.capacity);
seen.lent.push(blocks.size);
seen.keptStill = rows().join() === before.join();
cache.free();
seen.lent.push(blocks.size);
return seen;
"""
MASK = """
const { WasmDecoder } = await import(new URL('../worker/decoder_wasm.js', location.href));
const inputNames = ['past_key_values.0.key', 'past_key_values.0.value'];
const decoder = new WasmDecoder(module, { inputNames, handler: { sessionId: 1 } }, [3, 2]);
const [tokens, cacheBytes, maskBytes] = [512, 2 * 4 * 3 * 2, 8];
const before = decoder.cache.capacity;
// A cache in the place of the smaller one, and a mask beside that of before.
room = lent() + cacheBytes * (tokens - before) + maskBytes * tokens - 1;
const errors = [];
for (let attempt = 0; attempt < 2; attempt++) {
  try {
    decoder.reserve(400);
  } catch (error) {
    errors.push(error.message);
  }
}
room += 1;
decoder.reserve(400);
const mask = new BigInt64Array(module.HEAPU8.buffer, decoder.ones, tokens);
return { errors, capacity: decoder.cache.capacity, masked: mask.every((one) => one === 1n) };
"""


def test_what_is_in_it_stays(page: Page, isolated_site: str) -> None:
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(HEAP + KV_CACHE) == {
        "capacity": [64, 128, 128],
        "lent": [4, 4, 4, 0],
        "unmoved": True,
        "kept": True,
        "keptStill": True,
        "error": "no memory for a KV cache of 125056 tokens",
    }


def test_there_is_no_cache_without_its_mask(page: Page, isolated_site: str) -> None:
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(HEAP + MASK) == {
        "errors": ["no memory for 4096 bytes"] * 2,
        "capacity": 512,
        "masked": True,
    }
