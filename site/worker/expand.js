// What travels is not what computes: planes to what a device's graph wants
// (export/pesoleve/graph/layouts.py says the same in Python, and names the files alike).

import { readPlanes, widen } from './planes.js';

/**
 * @typedef {import('./dequantize.js').Dequantizer} Dequantizer
 * @typedef {import('./planes.js').BlockTensor} BlockTensor
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
 * @param {(tensor: BlockTensor) => void} [done] told of a tensor that nothing wants any more
 * @returns {PendingFile[]} the graph's external data, a file a tensor
 */
export function plan(tensors, layout, dequantizer, done = () => {}) {
  /** @type {PendingFile[]} */
  const files = [];
  const all = [...tensors];
  const untied = all.some(({ name }) => name === HEAD);
  for (const tensor of all) {
    if ('values' in tensor) files.push(copied({ path: tensor.name, data: tensor.values }));
    else if (layout === 'float32') {
      const inBlocks = staysInBlocks(tensor);
      if (!inBlocks || !untied) files.push(...dequantized(tensor, dequantizer));
      if (inBlocks) files.push(...packed(tensor).map(copied));
    } else files.push(...rounded(tensor, dequantizer, done));
  }
  return files;
}

/** @param {Uint8Array} planes @returns {ExternalFile[]} for the layout of blocks */
export function blockFiles(planes) {
  return [...readPlanes(planes)].flatMap((tensor) =>
    'values' in tensor ? [{ path: tensor.name, data: tensor.values }] : packed(tensor),
  );
}

/** The table that rows are looked up in (export/pesoleve/graph/layouts.py). @param {BlockTensor} tensor */
function staysInBlocks({ name, minimums }) {
  return name === TABLE && minimums === null;
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
    return { path, bytes: 4 * rows * columns, write: (to) => dequantizer.write(tensor, row, to) };
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

const INT8_ZERO = 128;
const TILE_ROWS = 32;

/**
 * Levels (K, N) of 8 bits around 128, and a scale for each output.
 *
 * @param {BlockTensor} tensor
 * @param {Dequantizer} dequantizer
 * @param {(tensor: BlockTensor) => void} done
 * @returns {PendingFile[]}
 */
function rounded(tensor, dequantizer, done) {
  const { name } = tensor;
  const [rows, columns] = tensor.blocks.shape;
  /** @type {Float32Array | null} known once the levels are */
  let scale = null;
  /** @param {Uint8Array} levels */
  const round = (levels) => {
    scale = roundRows(tensor, dequantizer, levels);
    return scale;
  };
  /** @param {Uint8Array} to */
  const writeLevels = (to) => {
    round(to);
    done(tensor);
  };
  /** @param {Uint8Array} to */
  const writeScale = (to) => to.set(bytes(scale ?? round(new Uint8Array(rows * columns))));
  return [
    { path: `${name}.int8_t`, bytes: rows * columns, write: writeLevels },
    { path: `${name}.output_scale`, bytes: 4 * rows, write: writeScale },
    { path: `${name}.output_zero`, bytes: rows, write: (to) => to.fill(INT8_ZERO) },
  ];
}

/**
 * @param {BlockTensor} tensor
 * @param {Dequantizer} dequantizer
 * @param {Uint8Array} levels (K, N), filled
 * @returns {Float32Array} a scale for each output
 */
function roundRows(tensor, dequantizer, levels) {
  const [rows, columns] = tensor.blocks.shape;
  const scale = new Float32Array(rows);
  const { module } = dequantizer;
  // A few rows at a time: the small layout is for devices without room for the fp32 matrix.
  dequantizer.borrow(4 * TILE_ROWS * columns, (space) => {
    for (let first = 0; first < rows; first += TILE_ROWS) {
      const count = Math.min(TILE_ROWS, rows - first);
      dequantizer.write(tensor, first, module.HEAPU8.subarray(space, space + 4 * count * columns));
      const weight = new Float32Array(module.HEAPU8.buffer, space, count * columns);
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
  });
  return scale;
}

/** @param {BlockTensor} tensor @returns {ExternalFile[]} for MatMulNBits */
function packed(tensor) {
  const { name, blocks, q } = tensor;
  const [rows, columns] = blocks.shape;
  // MatMulNBits takes only blocks that are a power of two.
  const block = blocks.block & -blocks.block;
  const groups = columns / block;
  const times = blocks.block / block;
  /** @param {Uint8Array} plane */
  const opened = (plane) => repeat(widen(plane, blocks.scale), times);
  const minimum = tensor.minimums === null ? null : opened(tensor.minimums);
  const zero = blocks.bits === 4 ? blocks.zero | (blocks.zero << 4) : blocks.zero;
  const zeros = new Uint8Array(rows * (blocks.bits === 4 ? (groups + 1) >> 1 : groups)).fill(zero);
  const files = [
    { path: `${name}.q`, data: q },
    { path: `${name}.scale`, data: bytes(opened(tensor.scales)) },
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
