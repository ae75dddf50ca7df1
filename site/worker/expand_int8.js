// Planes to the layout of integers (export/pesoleve/graph/int8.py says the same in Python).

/**
 * @typedef {import('./dequantize.js').Dequantizer} Dequantizer
 * @typedef {import('./expand.js').PendingFile} PendingFile
 * @typedef {import('./planes.js').BlockTensor} BlockTensor
 * @typedef {import('./planes.js').Planes} Planes
 * @typedef {(weight: Float32Array, first: number, count: number) => void} OnTile  rows in fp32, row after row
 */

const ZERO = 128;
/** Rows in fp32 at once: the layout is for devices without room for the matrix. */
const TILE_ROWS = 32;
/** Elements, at most, whose planes are read at once: the table's are a tenth of what the layout takes. */
const BAND = 1 << 22;

/**
 * Levels (K, N) of 8 bits around 128, and a scale for each output; the session asks in no order.
 *
 * @param {BlockTensor} tensor
 * @param {Dequantizer} dequantizer
 * @returns {PendingFile[]}
 */
export function rounded(tensor, dequantizer) {
  const { name } = tensor;
  const [rows, columns] = tensor.blocks.shape;
  const scale = new Float32Array(rows);
  let known = false;
  /** @param {Uint8Array} to */
  const writeScale = (to) => {
    if (!known) {
      eachTile(tensor, dequantizer, (weight, first, count) =>
        findScales(weight, scale.subarray(first, first + count)),
      );
    }
    known = true;
    to.set(new Uint8Array(scale.buffer));
  };
  /** @param {Uint8Array} to */
  const writeLevels = (to) => {
    eachTile(tensor, dequantizer, (weight, first, count) => {
      const own = scale.subarray(first, first + count);
      if (!known) findScales(weight, own);
      roundTile(weight, own, to.subarray(first), rows);
    });
    known = true;
  };
  return [
    { path: `${name}.int8_t`, bytes: rows * columns, write: writeLevels },
    { path: `${name}.output_scale`, bytes: 4 * rows, write: writeScale },
    { path: `${name}.output_zero`, bytes: rows, write: (to) => to.fill(ZERO) },
  ];
}

/** @param {BlockTensor} tensor @param {Dequantizer} dequantizer @param {OnTile} onTile */
function eachTile(tensor, dequantizer, onTile) {
  const [rows, columns] = tensor.blocks.shape;
  const { module } = dequantizer;
  const band = TILE_ROWS * Math.ceil(BAND / columns / TILE_ROWS);
  dequantizer.borrow(4 * TILE_ROWS * columns, (space) => {
    for (let start = 0; start < rows; start += band) {
      const end = Math.min(start + band, rows);
      /** @param {Planes} planes of the band */
      const walk = (planes) => {
        for (let first = start; first < end; first += TILE_ROWS) {
          const count = Math.min(TILE_ROWS, end - first);
          const room = module.HEAPU8.subarray(space, space + 4 * count * columns);
          dequantizer.write(planes, first - start, room);
          const weight = new Float32Array(module.HEAPU8.buffer, space, count * columns);
          onTile(weight, first, count);
        }
      };
      if (start === 0 && end === rows) tensor.use(walk);
      else tensor.useRows(start, end - start, walk);
    }
  });
}

/** @param {Float32Array} weight rows @param {Float32Array} scale of each, filled */
function findScales(weight, scale) {
  const columns = weight.length / scale.length;
  for (let i = 0; i < scale.length; i++) {
    let largest = 0;
    for (let at = i * columns; at < (i + 1) * columns; at++) {
      const magnitude = Math.abs(/** @type {number} */ (weight[at]));
      if (magnitude > largest) largest = magnitude;
    }
    scale[i] = largest === 0 ? 1 : largest / 127;
  }
}

/**
 * Column after column, so that what is written lies together; and without a branch, which would be guessed wrong half
 * the time.
 *
 * @param {Float32Array} weight rows @param {Float32Array} scale of each
 * @param {Uint8Array} levels of all outputs (K, N), from the first of these on @param {number} outputs N
 */
function roundTile(weight, scale, levels, outputs) {
  const count = scale.length;
  const columns = weight.length / count;
  for (let k = 0; k < columns; k++) {
    const to = k * outputs;
    for (let i = 0; i < count; i++) {
      const value = /** @type {number} */ (weight[i * columns + k]);
      const level = Math.fround(value / /** @type {number} */ (scale[i]));
      levels[to + i] = (level + (ZERO + 0.5)) | 0;
    }
  }
}
