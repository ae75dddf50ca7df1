// Blocks to fp32 in ONNX Runtime's own memory, four numbers at a time (dequantize.wat).

import { widen } from './planes.js';

/** @typedef {import('./planes.js').Planes} Planes */

const BINARY = new URL('../vendor/dequantize/dequantize.wasm', import.meta.url);
/** Blocks at once: what is read for them stays in a core's cache. */
const CHUNK = 4096;
/** What is read sixteen at a time may be read past its end. */
const SLACK = 64;

/**
 * @typedef {(q: number, scale: number, minimum: number, zero: number, out: number, blocks: number,
 *   width: number) => void} Dequantize
 * @typedef {object} Kernels
 * @property {(high: number, low: number, out: number, count: number) => void} widen
 * @property {Dequantize} dequantize4
 * @property {Dequantize} dequantize8
 */

export class Dequantizer {
  /** @param {import('./ort_c.js').OrtModule} module @param {Kernels} kernels */
  constructor(module, kernels) {
    this.module = module;
    this.kernels = kernels;
  }

  /**
   * @param {import('./ort_c.js').OrtModule} module
   * @param {WebAssembly.Memory} memory the module's
   */
  static async open(module, memory) {
    const { instance } = await WebAssembly.instantiateStreaming(fetch(BINARY), {
      runtime: { memory },
    });
    return new Dequantizer(module, /** @type {any} */ (instance.exports));
  }

  /**
   * Lend room in the module's memory.
   *
   * @template T
   * @param {number} bytes
   * @param {(address: number) => T} use
   * @returns {T}
   */
  borrow(bytes, use) {
    const address = this.module._malloc(bytes);
    if (address === 0) throw new Error(`no memory for ${bytes} bytes of weights`);
    try {
      return use(address);
    } finally {
      this.module._free(address);
    }
  }

  /**
   * scale * (q - zero) + minimum, the product rounded and then the sum.
   *
   * @param {Planes} planes
   * @param {number} row the first of those to write
   * @param {Uint8Array} to whole rows in fp32; in the module's memory
   */
  write(planes, row, to) {
    const { bits, block, shape } = planes.blocks;
    const first = (row * shape[1]) / block;
    const end = first + to.length / 4 / block;
    if (block % (bits === 4 ? 32 : 16) !== 0) {
      writeOneByOne(planes, first, new Float32Array(to.buffer, to.byteOffset, to.length / 4));
      return;
    }
    const width = (block * bits) / 8;
    this.borrow(CHUNK * (width + 12) + 5 * SLACK, (space) => {
      for (let at = first; at < end; at += CHUNK) {
        const out = to.byteOffset + 4 * (at - first) * block;
        this.writeChunk(planes, at, Math.min(CHUNK, end - at), width, space, out);
      }
    });
  }

  /**
   * @param {Planes} planes
   * @param {number} first block
   * @param {number} count of blocks
   * @param {number} width of a block in bytes
   * @param {number} space
   * @param {number} out
   */
  writeChunk({ blocks, q, scales, minimums }, first, count, width, space, out) {
    const { module, kernels } = this;
    const heap = module.HEAPU8;
    const all = (blocks.shape[0] * blocks.shape[1]) / blocks.block;
    const high = space + CHUNK * width;
    const low = high + CHUNK + SLACK;
    const scale = low + CHUNK + SLACK;
    const minimum = minimums === null ? 0 : scale + 4 * CHUNK + SLACK;
    /** @param {Uint8Array} plane @param {number} to */
    const open = (plane, to) => {
      if (blocks.scale === 'F32') {
        new Float32Array(heap.buffer, to, count).set(widen(plane, 'F32', first, count));
        return;
      }
      heap.set(plane.subarray(first, first + count), high);
      heap.set(plane.subarray(all + first, all + first + count), low);
      kernels.widen(high, low, to, count);
    };
    heap.set(q.subarray(first * width, (first + count) * width), space);
    open(scales, scale);
    if (minimums !== null) open(minimums, minimum);
    const dequantize = blocks.bits === 4 ? kernels.dequantize4 : kernels.dequantize8;
    dequantize(space, scale, minimum, blocks.zero, out, count, width);
  }
}

/** @param {Planes} planes @param {number} first block @param {Float32Array} out whole blocks, filled */
function writeOneByOne({ blocks, q, scales, minimums }, first, out) {
  const { bits, block, zero } = blocks;
  const count = out.length / block;
  const scale = widen(scales, blocks.scale, first, count);
  const minimum = minimums === null ? null : widen(minimums, blocks.scale, first, count);
  for (let b = 0, at = 0; b < count; b++) {
    const d = /** @type {number} */ (scale[b]);
    const m = minimum === null ? -0 : /** @type {number} */ (minimum[b]);
    for (const end = at + block; at < end; at++) {
      const from = first * block + at;
      const byte = /** @type {number} */ (q[bits === 4 ? from >> 1 : from]);
      const level = bits === 8 ? byte : from % 2 === 0 ? byte & 15 : byte >> 4;
      out[at] = Math.fround(d * (level - zero)) + m;
    }
  }
}
