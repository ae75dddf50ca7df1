// Weights as they travel: a safetensors file of planes (export/pesoleve/planes.py writes it).

/**
 * @typedef {{shape: [number, number], bits: 4 | 8, block: number, zero: number, scale: 'F16' | 'F32'}} Blocks
 * @typedef {{name: string, values: Uint8Array, shape: number[]}} PlainTensor  float32 bytes
 * @typedef {object} BlockTensor  W[n, k] = scale[n, b] * (q[n, k] - zero) + minimum[n, b]
 * @property {string} name
 * @property {Blocks} blocks
 * @property {Uint8Array} q two levels to a byte when bits is 4, the even column in the low nibble
 * @property {Uint8Array} scales (N, K / block), as `widen` reads them
 * @property {Uint8Array | null} minimums
 */

/**
 * @param {Uint8Array} content
 * @returns {Generator<PlainTensor | BlockTensor>} every tensor, in the file's order
 */
export function* readPlanes(content) {
  const view = new DataView(content.buffer, content.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(content.subarray(8, 8 + length)));
  /** @type {Record<string, Blocks>} */
  const blocks = JSON.parse(header.__metadata__.blocks);
  /** @param {string} name */
  const plane = (name) => {
    const [start, end] = header[name].data_offsets;
    return content.subarray(8 + length + start, 8 + length + end);
  };
  for (const [full, { dtype, shape }] of Object.entries(header)) {
    if (full === '__metadata__') continue;
    if (dtype === 'F32') {
      yield { name: full, values: plane(full), shape };
    } else if (full.endsWith('.q')) {
      const name = full.slice(0, -2);
      const of = /** @type {Blocks} */ (blocks[name]);
      const minimum = `${name}.minimum`;
      yield {
        name,
        blocks: of,
        q: plane(full),
        scales: plane(`${name}.scale`),
        minimums: minimum in header ? plane(minimum) : null,
      };
    }
  }
}

/**
 * @template {PlainTensor | BlockTensor} T
 * @param {T} tensor
 * @returns {T} the same in memory of its own
 */
export function apart(tensor) {
  if ('values' in tensor) return { ...tensor, values: tensor.values.slice() };
  const { q, scales, minimums } = tensor;
  const own = new Uint8Array(q.length + scales.length + (minimums?.length ?? 0));
  let end = 0;
  const [ownQ, ownScales, ownMinimums] = [q, scales, minimums ?? new Uint8Array(0)].map((plane) => {
    own.set(plane, end);
    end += plane.length;
    return own.subarray(end - plane.length, end);
  });
  return { ...tensor, q: ownQ, scales: ownScales, minimums: minimums && ownMinimums };
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
