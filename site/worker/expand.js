// What travels is not what computes: planes to what a device's graph wants
// (export/pesoleve/graph/layouts.py says the same in Python, and names the files alike).

import { readPlanes } from './planes.js';

/**
 * @typedef {import('./planes.js').BlockTensor} BlockTensor
 * @typedef {'float32' | 'blocks'} Layout
 * @typedef {{path: string, data: Uint8Array}} ExternalFile
 */

/**
 * @param {Uint8Array} planes
 * @param {Layout} layout
 * @returns {ExternalFile[]} the graph's external data, a file a tensor
 */
export function expand(planes, layout) {
  /** @type {ExternalFile[]} */
  const files = [];
  for (const tensor of readPlanes(planes)) {
    const { name } = tensor;
    if ('values' in tensor) files.push({ path: name, data: tensor.values });
    else if (layout === 'float32') files.push({ path: name, data: bytes(dequantize(tensor)) });
    else files.push(...packed(tensor));
  }
  return files;
}

/**
 * @param {BlockTensor} tensor
 * @returns {Float32Array} W, row after row
 */
export function dequantize({ blocks, q, scale, minimum }) {
  const [rows, columns] = blocks.shape;
  const { bits, block, zero } = blocks;
  const out = new Float32Array(rows * columns);
  const count = scale.length;
  const q4 = bits === 4;
  let at = 0;
  let read = 0;
  for (let b = 0; b < count; b++) {
    const d = /** @type {number} */ (scale[b]);
    const m = minimum === null ? 0 : /** @type {number} */ (minimum[b]);
    const end = at + block;
    // The product is exact in a double, and so is the sum: storing rounds once, as fp32 arithmetic does
    // where the product fits fp32 (an fp16 scale times at most 8 bits always does).
    if (q4) {
      while (at < end) {
        const pair = /** @type {number} */ (q[read++]);
        out[at++] = d * ((pair & 15) - zero) + m;
        out[at++] = d * ((pair >> 4) - zero) + m;
      }
    } else {
      while (at < end) {
        const level = /** @type {number} */ (q[read++]);
        out[at++] = d * (level - zero) + m;
      }
    }
  }
  return out;
}

/** @param {BlockTensor} tensor @returns {ExternalFile[]} for MatMulNBits */
function packed({ name, blocks, q, scale, minimum }) {
  const [rows, columns] = blocks.shape;
  const groups = columns / blocks.block;
  const zero = blocks.bits === 4 ? blocks.zero | (blocks.zero << 4) : blocks.zero;
  const zeros = new Uint8Array(rows * (blocks.bits === 4 ? (groups + 1) >> 1 : groups)).fill(zero);
  const files = [
    { path: `${name}.q`, data: q },
    { path: `${name}.scale`, data: bytes(scale) },
    { path: `${name}.zero`, data: zeros },
  ];
  if (minimum !== null) {
    files.push({ path: `${name}.minimum_t`, data: bytes(transpose(minimum, rows, groups)) });
  }
  return files;
}

/** @param {Float32Array} values @param {number} rows @param {number} columns */
function transpose(values, rows, columns) {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      out[c * rows + r] = /** @type {number} */ (values[r * columns + c]);
    }
  }
  return out;
}

/** @param {Float32Array} values */
function bytes(values) {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
