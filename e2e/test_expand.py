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
from pesoleve.graph.decoder import TABLE
from pesoleve.graph.layouts import SLICE, expand
from pesoleve.planes import Tensors, write_planes

from .visit import Visit

EXPAND = """
const { plan, blockFiles } = await import(new URL('../worker/expand.js', location.href));
const { readPlanes, apart } = await import(new URL('../worker/planes.js', location.href));
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
const tensors = [...readPlanes(bytes)].map(apart);
for (const { path, bytes: size, write } of plan(tensors, layout, dequantizer)) {
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


@pytest.mark.parametrize("layout", ["float32", "int8", "blocks"])
def test_the_page_expands_planes_as_the_export_does(
    page: Page, isolated_site: str, layout: str
) -> None:
    visit = Visit(page)
    visit.open_blank(isolated_site)
    planes = base64.b64encode(write_planes(TENSORS)).decode()
    digests = visit.run_module(EXPAND, {"planes": planes, "layout": layout})
    expected = {
        name: hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()
        for name, content in expand(TENSORS, layout).items()
    }
    assert digests == expected
    assert visit.errors == []
