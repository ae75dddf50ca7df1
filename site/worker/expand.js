// What travels is not what computes: planes to what a device's graph wants
// (export/pesoleve/graph/layouts.py says the same in Python, and names the files alike).

import { readPlanes } from './planes.js';

/**
 * @typedef {import('./planes.js').BlockTensor} BlockTensor
 * @typedef {'float32' | 'int8' | 'blocks'} Layout
 * @typedef {{path: string, data: Uint8Array}} ExternalFile
 * @typedef {{path: string, bytes: number, make: () => Uint8Array}} PendingFile  made when it is wanted
 */

const TABLE = 'model.embed_tokens.weight';

/**
 * @param {Uint8Array} planes
 * @param {Layout} layout
 * @param {Scratch} [scratch]
 * @returns {PendingFile[]} the graph's external data, a file a tensor
 */
export function plan(planes, layout, scratch = openScratch()) {
  /** @type {PendingFile[]} */
  const files = [];
  for (const tensor of readPlanes(planes)) {
    const { name } = tensor;
    if ('values' in tensor) {
      files.push({ path: name, bytes: tensor.values.length, make: () => tensor.values });
    } else if (layout === 'float32') {
      files.push(dequantized(tensor, scratch));
      if (staysInBlocks(tensor)) files.push(...packed(tensor).map(made));
    } else if (layout === 'int8') files.push(...rounded(tensor, scratch));
    else files.push(...packed(tensor).map(made));
  }
  return files;
}

/** The table that rows are looked up in (export/pesoleve/graph/layouts.py). @param {BlockTensor} tensor */
function staysInBlocks({ name, minimum }) {
  return name === TABLE && minimum === null;
}

/** @param {ExternalFile} file @returns {PendingFile} */
function made({ path, data }) {
  return { path, bytes: data.length, make: () => data };
}

/** W, row after row. @param {BlockTensor} tensor @param {Scratch} scratch @returns {PendingFile} */
function dequantized(tensor, scratch) {
  const [rows, columns] = tensor.blocks.shape;
  const size = 4 * rows * columns;
  const make = () => {
    const space = scratch(size);
    dequantizeRows(tensor, 0, new Float32Array(space.buffer, space.byteOffset, rows * columns));
    return space;
  };
  return { path: tensor.name, bytes: size, make };
}

/** @param {BlockTensor} tensor @param {number} first row @param {Float32Array} out whole rows, filled */
function dequantizeRows({ blocks, q, scale, minimum }, first, out) {
  const { bits, block, zero } = blocks;
  const columns = blocks.shape[1];
  if (bits === 4 && block % 8 === 0) {
    dequantizeWords({ blocks, q, scale, minimum }, (first * columns) / block, out);
    return;
  }
  const q4 = bits === 4;
  let at = 0;
  let read = (first * columns) / (q4 ? 2 : 1);
  for (let b = (first * columns) / block; at < out.length; b++) {
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
}

/**
 * Eight levels at a time, in half the time. Where there is a minimum the zero is 0, and else minus scale times zero
 * is exact: it comes to the same.
 *
 * @param {Pick<BlockTensor, 'blocks' | 'q' | 'scale' | 'minimum'>} tensor of 4 bits
 * @param {number} first block
 * @param {Float32Array} out
 */
function dequantizeWords({ blocks: { block, zero }, q, scale, minimum }, first, out) {
  const aligned = q.byteOffset % 4 === 0 ? q : q.slice();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  let at = 0;
  for (let b = first, read = (first * block) / 8; at < out.length; b++) {
    const d = /** @type {number} */ (scale[b]);
    const m = (minimum === null ? 0 : /** @type {number} */ (minimum[b])) - d * zero;
    for (const end = at + block; at < end; at += 8) {
      const word = /** @type {number} */ (words[read++]);
      out[at] = d * (word & 15) + m;
      out[at + 1] = d * ((word >>> 4) & 15) + m;
      out[at + 2] = d * ((word >>> 8) & 15) + m;
      out[at + 3] = d * ((word >>> 12) & 15) + m;
      out[at + 4] = d * ((word >>> 16) & 15) + m;
      out[at + 5] = d * ((word >>> 20) & 15) + m;
      out[at + 6] = d * ((word >>> 24) & 15) + m;
      out[at + 7] = d * (word >>> 28) + m;
    }
  }
}

const INT8_ZERO = 128;
const TILE_ROWS = 32;

/**
 * The session copies each tensor before it asks for the next: one space, which stays in the cache where
 * matrices are small, serves all.
 *
 * @typedef {(size: number) => Uint8Array} Scratch
 * @returns {Scratch}
 */
function openScratch() {
  let space = new Uint8Array(0);
  /** @param {number} size */
  return (size) => {
    if (space.length < size) space = new Uint8Array(size);
    return space.subarray(0, size);
  };
}

/**
 * Levels (K, N) of 8 bits around 128, and a scale for each output.
 *
 * @param {BlockTensor} tensor
 * @param {Scratch} scratch
 * @returns {PendingFile[]}
 */
function rounded(tensor, scratch) {
  const { name } = tensor;
  const [rows, columns] = tensor.blocks.shape;
  const scale = new Float32Array(rows);
  let known = false;
  const make = () => {
    const levels = scratch(rows * columns);
    // A few rows at a time: the small layout is for devices without room for the fp32 matrix.
    const tile = new Float32Array(TILE_ROWS * columns);
    for (let first = 0; first < rows; first += TILE_ROWS) {
      const count = Math.min(TILE_ROWS, rows - first);
      const weight = tile.subarray(0, count * columns);
      dequantizeRows(tensor, first, weight);
      for (let i = 0; i < count; i++) {
        let largest = 0;
        for (let at = i * columns; at < (i + 1) * columns; at++) {
          const magnitude = Math.abs(/** @type {number} */ (weight[at]));
          if (magnitude > largest) largest = magnitude;
        }
        scale[first + i] = largest === 0 ? 1 : largest / 127;
      }
      // Column after column of the tile, so that what is written lies together; and without a branch,
      // which would be guessed wrong half the time.
      for (let k = 0; k < columns; k++) {
        const to = k * rows + first;
        for (let i = 0; i < count; i++) {
          const value = /** @type {number} */ (weight[i * columns + k]);
          const level = Math.fround(value / /** @type {number} */ (scale[first + i]));
          levels[to + i] = (level + (INT8_ZERO + 0.5)) | 0;
        }
      }
    }
    known = true;
    return levels;
  };
  const scales = () => {
    if (!known) make();
    return bytes(scale);
  };
  return [
    { path: `${name}.int8_t`, bytes: rows * columns, make },
    { path: `${name}.output_scale`, bytes: 4 * rows, make: scales },
    { path: `${name}.output_zero`, bytes: rows, make: () => new Uint8Array(rows).fill(INT8_ZERO) },
  ];
}

/** @param {BlockTensor} tensor @returns {ExternalFile[]} for MatMulNBits */
function packed({ name, blocks, q, scale: scales, minimum: minimums }) {
  const [rows, columns] = blocks.shape;
  // MatMulNBits takes only blocks that are a power of two.
  const block = blocks.block & -blocks.block;
  const groups = columns / block;
  const scale = repeat(scales, blocks.block / block);
  const minimum = minimums === null ? null : repeat(minimums, blocks.block / block);
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

/** @param {Float32Array} values @param {number} times */
function repeat(values, times) {
  if (times === 1) return values;
  const out = new Float32Array(values.length * times);
  values.forEach((value, i) => void out.fill(value, i * times, (i + 1) * times));
  return out;
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
