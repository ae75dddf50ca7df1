// What travels is not what computes: planes to what a device's graph wants
// (export/pesoleve/graph/layouts.py says the same in Python, and names the files alike).

import { rounded } from './expand_int8.js';
import { inMemory, readPlanes, widen } from './planes.js';

/**
 * @typedef {import('./dequantize.js').Dequantizer} Dequantizer
 * @typedef {import('./planes.js').BlockTensor} BlockTensor
 * @typedef {import('./planes.js').Planes} Planes
 * @typedef {'float32' | 'int8' | 'blocks'} Layout
 * @typedef {{path: string, data: Uint8Array}} ExternalFile
 * @typedef {{path: string, bytes: number, write: (to: Uint8Array) => void}} PendingFile  written where it is wanted
 */

const TABLE = 'model.embed_tokens.weight';
const HEAD = 'lm_head.MatMul.weight';
/** Elements of a matrix, at most, that are one fp32 tensor; and what its rows are a multiple of. */
const SLICE = 1 << 22;
const SLICE_ROWS = 16;

/**
 * @param {Iterable<import('./planes.js').PlainTensor | BlockTensor>} tensors
 * @param {Layout} layout
 * @param {Dequantizer} dequantizer
 * @returns {PendingFile[]} the graph's external data, a file a tensor
 */
export function plan(tensors, layout, dequantizer) {
  /** @type {PendingFile[]} */
  const files = [];
  const all = [...tensors];
  const untied = all.some(({ name }) => name === HEAD);
  for (const tensor of all) {
    if (tensor.blocks === null) files.push(plain(tensor));
    else if (layout === 'float32') {
      const inBlocks = staysInBlocks(tensor);
      if (!inBlocks || !untied) files.push(...dequantized(tensor, dequantizer));
      if (inBlocks) files.push(...packed(tensor).map(copied));
    } else files.push(...rounded(tensor, dequantizer));
  }
  return files;
}

/** @param {Uint8Array} planes @returns {ExternalFile[]} for the layout of blocks */
export function blockFiles(planes) {
  return [...readPlanes(inMemory(planes))].flatMap((tensor) =>
    tensor.blocks === null
      ? [{ path: tensor.name, data: tensor.use((values) => values) }]
      : packed(tensor),
  );
}

/** The table that rows are looked up in (export/pesoleve/graph/layouts.py). @param {BlockTensor} tensor */
function staysInBlocks({ name, use }) {
  return name === TABLE && use(({ minimums }) => minimums === null);
}

/** @param {import('./planes.js').PlainTensor} tensor @returns {PendingFile} */
function plain({ name, shape, use }) {
  const bytes = shape.reduce((product, size) => product * size, 4);
  return { path: name, bytes, write: (to) => use((values) => to.set(values)) };
}

/** @param {ExternalFile} file @returns {PendingFile} */
function copied({ path, data }) {
  return { path, bytes: data.length, write: (to) => to.set(data) };
}

/**
 * W, row after row.
 *
 * @param {BlockTensor} tensor
 * @param {Dequantizer} dequantizer
 * @returns {PendingFile[]} of so many rows each
 */
function dequantized(tensor, dequantizer) {
  const columns = tensor.blocks.shape[1];
  return rowSlices(tensor).map(({ path, row, rows }) => {
    const write = (/** @type {Uint8Array} */ to) =>
      tensor.use((planes) => dequantizer.write(planes, row, to));
    return { path, bytes: 4 * rows * columns, write };
  });
}

/**
 * Which rows of a matrix each of its fp32 tensors has (export/pesoleve/graph/layouts.py says why).
 *
 * @param {BlockTensor} tensor
 */
function rowSlices(tensor) {
  const { name } = tensor;
  const [rows, columns] = tensor.blocks.shape;
  const whole = name === TABLE && !staysInBlocks(tensor);
  const count = whole ? 1 : Math.ceil((rows * columns) / SLICE);
  if (count === 1) return [{ path: name, row: 0, rows }];
  const step = Math.ceil(rows / (count * SLICE_ROWS)) * SLICE_ROWS;
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const row = i * step;
    return { path: `${name}.${i}`, row, rows: Math.min(step, rows - row) };
  });
}

/** @param {BlockTensor} tensor @returns {ExternalFile[]} for MatMulNBits */
function packed({ name, use }) {
  return use((planes) => packedPlanes(name, planes));
}

/** @param {string} name @param {Planes} planes @returns {ExternalFile[]} */
function packedPlanes(name, { blocks, q, scales, minimums }) {
  const [rows, columns] = blocks.shape;
  // MatMulNBits takes only blocks that are a power of two.
  const block = blocks.block & -blocks.block;
  const groups = columns / block;
  const times = blocks.block / block;
  /** @param {Uint8Array} plane */
  const opened = (plane) => repeat(widen(plane, blocks.scale), times);
  const minimum = minimums === null ? null : opened(minimums);
  const zero = blocks.bits === 4 ? blocks.zero | (blocks.zero << 4) : blocks.zero;
  const zeros = new Uint8Array(rows * (blocks.bits === 4 ? (groups + 1) >> 1 : groups)).fill(zero);
  const files = [
    { path: `${name}.q`, data: q },
    { path: `${name}.scale`, data: bytes(opened(scales)) },
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
