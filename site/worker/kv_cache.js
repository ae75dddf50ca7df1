// A decoder's keys and values in ONNX Runtime's heap: one buffer each for every layer, which is both input and output
// of a step.

import { discard } from './memory.js';
import { createTensor, FLOAT32 } from './ort_c.js';

/** @typedef {import('./ort_c.js').OrtModule} OrtModule */

/** There is room for a quarter more than there must be, since an answer follows; in steps of so many tokens. */
const ROOM = 1.25;
const STEP = 64;

export class KvCache {
  /**
   * @param {OrtModule} module
   * @param {number} count of buffers: two a layer
   * @param {[number, number]} shape key and value heads, and the size of each
   */
  constructor(module, count, [heads, size]) {
    this.module = module;
    this.count = count;
    this.heads = heads;
    this.size = size;
    this.capacity = 0;
    /** @type {{data: number, tensor: number}[]} keys and values, a layer after the other */
    this.buffers = [];
  }

  /** @returns {number[]} the tensors, in the same order */
  get tensors() {
    return this.buffers.map(({ tensor }) => tensor);
  }

  /**
   * Make room. What is kept goes through a buffer that is given back, so that the heap, which never is, holds one cache
   * and not two.
   *
   * @param {number} tokens
   * @param {number} length how many of them are in it already, and kept
   * @throws {Error} where there is no memory for so many: all is as it was
   */
  reserve(tokens, length) {
    if (tokens <= this.capacity) return;
    const before = this.capacity;
    const capacity = STEP * Math.ceil((ROOM * tokens) / STEP);
    const kept = this.read(length);
    this.free();
    const grown = this.allocate(capacity);
    if (!grown) this.allocate(before);
    this.write(kept, length);
    discard(kept.buffer);
    if (!grown) throw new Error(`no memory for a KV cache of ${capacity} tokens`);
  }

  /** @param {number} capacity @returns {boolean} whether there was memory for it */
  allocate(capacity) {
    const { module, heads, size, count } = this;
    const bytes = 4 * heads * capacity * size;
    for (let i = 0; i < count; i++) {
      const data = module._malloc(bytes);
      if (data === 0) {
        this.free();
        return false;
      }
      const tensor = createTensor(module, FLOAT32, data, bytes, [1, heads, capacity, size]);
      this.buffers.push({ data, tensor });
    }
    this.capacity = capacity;
    return true;
  }

  /** @param {number} length @returns {Uint8Array<ArrayBuffer>} the first so many tokens, head after head */
  read(length) {
    const bytes = 4 * length * this.size;
    const kept = new Uint8Array(this.buffers.length * this.heads * bytes);
    this.rows().forEach((row, i) => {
      kept.set(this.module.HEAPU8.subarray(row, row + bytes), i * bytes);
    });
    return kept;
  }

  /** @param {Uint8Array} kept @param {number} length */
  write(kept, length) {
    const bytes = 4 * length * this.size;
    this.rows().forEach((row, i) => {
      this.module.HEAPU8.set(kept.subarray(i * bytes, (i + 1) * bytes), row);
    });
  }

  /** @returns {number[]} where each head's tokens begin */
  rows() {
    const { heads, capacity, size } = this;
    return this.buffers.flatMap(({ data }) =>
      Array.from({ length: heads }, (_, head) => data + 4 * head * capacity * size),
    );
  }

  free() {
    for (const { data, tensor } of this.buffers) {
      this.module._OrtReleaseTensor(tensor);
      this.module._free(data);
    }
    this.buffers = [];
    this.capacity = 0;
  }
}
