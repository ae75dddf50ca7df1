// Weights as they travel: a safetensors file of planes (export/pesoleve/planes.py writes it).

import { discard } from './memory.js';

/**
 * @typedef {{shape: [number, number], bits: 4 | 8, block: number, zero: number, scale: 'F16' | 'F32'}} Blocks
 * @typedef {object} PlainTensor
 * @property {string} name
 * @property {null} blocks
 * @property {number[]} shape
 * @property {<T>(work: (values: Uint8Array) => T) => T} use float32 bytes, as long as the work takes
 * @typedef {object} BlockTensor  W[n, k] = scale[n, b] * (q[n, k] - zero) + minimum[n, b]
 * @property {string} name
 * @property {Blocks} blocks
 * @property {<T>(work: (planes: Planes) => T) => T} use its planes, as long as the work takes
 * @property {<T>(first: number, rows: number, work: (planes: Planes) => T) => T} useRows likewise, of some rows
 * @typedef {object} Planes
 * @property {Blocks} blocks
 * @property {Uint8Array} q two levels to a byte when bits is 4, the even column in the low nibble
 * @property {Uint8Array} scales (N, K / block), as `widen` reads them
 * @property {Uint8Array | null} minimums
 *
 * @typedef {object} Source
 * @property {(start: number, end: number) => Uint8Array} read
 * @property {(bytes: Uint8Array) => void} giveBack what was read is not wanted any more
 */

/** @param {Uint8Array} content @returns {Source} */
export function inMemory(content) {
  return { read: (start, end) => content.subarray(start, end), giveBack() {} };
}

/**
 * @param {Source} source
 * @returns {Generator<PlainTensor | BlockTensor>} every tensor, in the file's order
 */
export function* readPlanes(source) {
  const view = new DataView(source.read(0, 8).slice().buffer);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(source.read(8, start)));
  /** @type {Record<string, Blocks>} */
  const blocks = JSON.parse(header.__metadata__.blocks);
  /** @type {(names: string[]) => <T>(work: (...planes: Uint8Array[]) => T) => T} of planes that lie together */
  const used = (names) => {
    const places = names.map((name) => header[name].data_offsets);
    const from = places[0][0];
    return (work) => {
      const bytes = source.read(start + from, start + places.at(-1)[1]);
      try {
        return work(...places.map(([begin, end]) => bytes.subarray(begin - from, end - from)));
      } finally {
        source.giveBack(bytes);
      }
    };
  };
  for (const [full, { dtype, shape }] of Object.entries(header)) {
    if (full === '__metadata__') continue;
    if (dtype === 'F32') {
      yield { name: full, blocks: null, shape, use: used([full]) };
    } else if (full.endsWith('.q')) {
      const name = full.slice(0, -2);
      const of = /** @type {Blocks} */ (blocks[name]);
      const minimum = `${name}.minimum`;
      const use = used([full, `${name}.scale`, ...(minimum in header ? [minimum] : [])]);
      yield {
        name,
        blocks: of,
        use: (work) =>
          use((q, scales, minimums) => work({ blocks: of, q, scales, minimums: minimums ?? null })),
        useRows(first, rows, work) {
          const [all, columns] = of.shape;
          const read = (/** @type {string} */ plane, parts = 1) => {
            const [from, to] = header[plane].data_offsets;
            const size = (to - from) / parts / all; // a row's
            const out = new Uint8Array(parts * rows * size);
            for (let part = 0; part < parts; part++) {
              const at = start + from + (part * all + first) * size;
              const bytes = source.read(at, at + rows * size);
              out.set(bytes, part * rows * size);
              source.giveBack(bytes);
            }
            return out;
          };
          const shuffled = of.scale === 'F16' ? 2 : 4;
          const [q, scales] = [read(full), read(`${name}.scale`, shuffled)];
          const minimums = minimum in header ? read(minimum, shuffled) : null;
          try {
            return work({ blocks: { ...of, shape: [rows, columns] }, q, scales, minimums });
          } finally {
            for (const plane of [q, scales, minimums]) if (plane !== null) discard(plane.buffer);
          }
        },
      };
    }
  }
}

/** Every float16 as float32: the table is cheaper than the arithmetic. */
let halfTable = /** @type {Float32Array | null} */ (null);

function halves() {
  if (halfTable !== null) return halfTable;
  halfTable = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halfTable[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return halfTable;
}

/**
 * Undo the shuffle (all most significant bytes, then the next …) and widen to float32.
 *
 * @param {Uint8Array} plane
 * @param {'F16' | 'F32'} dtype
 * @param {number} [first]
 * @param {number} [count] all by default
 */
export function widen(plane, dtype, first = 0, count = plane.length / (dtype === 'F16' ? 2 : 4)) {
  const wide = new Float32Array(count);
  const all = plane.length / (dtype === 'F16' ? 2 : 4);
  if (dtype === 'F16') {
    const table = halves();
    for (let i = 0; i < count; i++) {
      const high = /** @type {number} */ (plane[first + i]);
      const low = /** @type {number} */ (plane[all + first + i]);
      wide[i] = /** @type {number} */ (table[(high << 8) | low]);
    }
    return wide;
  }
  const bytes = new Uint8Array(wide.buffer);
  for (let part = 0; part < 4; part++) {
    for (let i = 0; i < count; i++)
      bytes[4 * i + 3 - part] = /** @type {number} */ (plane[part * all + first + i]);
  }
  return wide;
}
