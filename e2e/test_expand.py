"""What the page makes of the planes that travel is what the export makes of them, to the bit."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page

from pesoleve.blocks import BlockTensor
from pesoleve.graph.decoder import HEAD, TABLE
from pesoleve.graph.layouts import SLICE, expand
from pesoleve.planes import Tensors, write_planes

from .visit import Visit

EXPAND = """
const { plan, blockFiles } = await import(new URL('../worker/expand.js', location.href));
const { readPlanes, inMemory } = await import(new URL('../worker/planes.js', location.href));
const { Dequantizer } = await import(new URL('../worker/dequantize.js', location.href));
const { planes, layout } = argument;
const memory = new WebAssembly.Memory({ initial: 2048, maximum: 65536, shared: true });
const heap = new Uint8Array(memory.buffer);
let top = 64; // what is freed is not used again
const module = {
  HEAPU8: heap,
  _free() {},
  _malloc(bytes) {
    const at = top;
    top = (at + bytes + 63) & ~63;
    return at;
  },
};
const bytes = Uint8Array.from(atob(planes), (char) => char.charCodeAt(0));
const dequantizer = await Dequantizer.open(module, memory);
const digests = {};
const note = async (path, content) => {
  const digest = await crypto.subtle.digest('SHA-256', content.slice());
  digests[path] = Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, '0')).join('');
};
if (layout === 'blocks') {
  for (const { path, data } of blockFiles(bytes)) await note(path, new Uint8Array(data));
  return digests;
}
const files = plan(readPlanes(inMemory(bytes)), layout, dequantizer);
for (const { path, bytes: size, write } of files) {
  const to = heap.subarray(module._malloc(size)).subarray(0, size);
  write(to);
  await note(path, new Uint8Array(to));
}
return digests;
"""


def _tensor(
    rows: int, columns: int, block: int, bits: int, *, minimum: bool, scale: type = np.float16
) -> BlockTensor:
    random = np.random.default_rng(rows + columns + block + bits + minimum)
    blocks = (rows, columns // block)

    def scales() -> npt.NDArray[Any]:
        # From subnormal halves to large ones, of both signs.
        magnitude = np.exp2(random.uniform(-24, 6, blocks))
        return np.asarray(magnitude * random.choice([-1, 1], blocks), scale)

    return BlockTensor(
        random.integers(0, 1 << bits, (rows, columns), np.uint8),
        scales(),
        scales() if minimum else None,
        0 if minimum else 1 << (bits - 1),
        bits,
    )


TENSORS: Tensors = {
    TABLE: _tensor(SLICE // 256 + 80, 256, 32, 8, minimum=False),
    "norm": np.linspace(-1, 1, 300, dtype=np.float32),
    "q4_1": _tensor(528, 256, 32, 4, minimum=True),
    "q4_0": _tensor(96, 192, 64, 4, minimum=False),
    "q8 with a minimum": _tensor(40, 64, 16, 8, minimum=True),
    "narrow blocks": _tensor(24, 64, 8, 4, minimum=False),
    "wide scales": _tensor(32, 96, 32, 4, minimum=True, scale=np.float32),
    "odd blocks": _tensor(32, 96, 96, 4, minimum=False),
}


UNTIED: Tensors = {
    TABLE: _tensor(64, 96, 32, 8, minimum=False),
    HEAD: _tensor(64, 96, 32, 4, minimum=True),
}


@pytest.mark.parametrize("tensors", [TENSORS, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize("layout", ["float32", "int8", "blocks"])
def test_the_page_expands_planes_as_the_export_does(
    page: Page, isolated_site: str, layout: str, tensors: Tensors
) -> None:
    visit = Visit(page)
    visit.open_blank(isolated_site)
    planes = base64.b64encode(write_planes(tensors)).decode()
    digests = visit.run_module(EXPAND, {"planes": planes, "layout": layout})
    expected = {
        name: hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()
        for name, content in expand(tensors, layout).items()
    }
    assert digests == expected
    assert visit.errors == []


MOUNT = """
const { mount } = await import(new URL('../worker/mount.js', location.href));
const open = () => {
  const mounted = new Map();
  const module = {
    HEAPU8: new Uint8Array(64),
    _malloc: () => 0,
    _free() {},
    mountExternalData: (path, file) => mounted.set(path, file),
  };
  return { module, mounted };
};
const seen = [];
const write = (to) => void to.fill(7);
const right = open();
mount(right.module, [{ path: 'w', bytes: 4, write }], () => seen.push('all taken'));
const answer = right.mounted.get('w').subarray(0, 4);
right.module.HEAPU8.set(answer, 8);
seen.push([...right.module.HEAPU8.subarray(6, 14)].join(' '));
const copying = open();
mount(copying.module, [{ path: 'w', bytes: 4, write }], () => {});
try {
  new Uint8Array(8).set(copying.mounted.get('w').subarray(0, 4), 0);
} catch (error) {
  seen.push(error.message);
}
const full = open();
const fails = () => { throw new Error('no memory'); };
const failure = mount(full.module, [{ path: 'w', bytes: 4, write: fails }], () => {});
const placed = full.mounted.get('w').subarray(0, 4);
try {
  full.module.HEAPU8.set(placed, 0);
} catch {
  seen.push(failure().message);
}
return seen;
"""


def test_a_weight_is_written_where_it_is_wanted_or_not_at_all(page: Page, isolated_site: str) -> None:
    """A runtime that copies what it is given gets an error, not zeros; why a write failed is kept."""
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(MOUNT) == [
        "all taken",
        "0 0 7 7 7 7 0 0",
        "these weights are written, not copied",
        "no memory",
    ]
