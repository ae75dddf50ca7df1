// Weights for ONNX Runtime Web, written straight into its heap.

/**
 * What is mounted as external data is asked `subarray(start, end)`, and the answer is given to `HEAPU8.set` with the
 * address that the runtime has made room at (onnxruntime/core/framework/tensorprotoutils.cc, LoadWebAssemblyExternalData,
 * as in version 1.30). This answers with nothing to copy, and writes the weights when it is told the address.
 */
class Placed {
  /** @returns {number} what a runtime asks that goes another way: it fails, and does not compute with zeros */
  get length() {
    throw new Error('these weights are written, not copied');
  }
}

/**
 * The session packs a matrix into memory of its own, of the same size but aligned, and then frees what was written:
 * too little for the next one to be packed into, were there not a gap behind it. It is not touched, and so costs
 * nothing; and it is large, so that it comes from where the matrix came from.
 */
const GAP = 1 << 17;
const LARGE = 1 << 20;
/** Bytes for what is packed first, the KV cache of a first answer, and what lies between. */
const ROOM = 48e6;

/**
 * Let a session take each weight when it wants it, which is once, and hold none afterwards. The runtime unmounts all
 * when the session is made.
 *
 * @param {import('./ort_c.js').OrtModule} module
 * @param {import('./expand.js').PendingFile[]} files
 * @param {() => void} onTaken called when all of them are
 * @returns {() => unknown} what writing one failed with, if it did: the runtime itself says only that one failed
 */
export function mount(module, files, onTaken) {
  const whole = files.reduce((sum, { bytes }) => sum + bytes + (bytes < LARGE ? 0 : GAP), 0);
  module._free(module._malloc(whole + ROOM)); // the heap grows once, and no further than it must
  let left = files.length;
  /** @type {number[]} */
  const gaps = [];
  /** @type {unknown} */
  let failure = null;
  for (const { path, bytes, write } of files) {
    const subarray = () => {
      const heap = module.HEAPU8;
      const placed = /** @type {ArrayLike<number>} */ (/** @type {unknown} */ (new Placed()));
      /** @type {Uint8Array['set']} */
      const set = (source, address = 0) => {
        Reflect.deleteProperty(heap, 'set');
        if (source !== placed) {
          heap.set(source, address);
          return;
        }
        try {
          write(heap.subarray(address, address + bytes));
        } catch (error) {
          failure = error;
          throw error;
        }
        if (bytes >= LARGE) gaps.push(module._malloc(GAP));
        left--;
        if (left > 0) return;
        for (const gap of gaps) module._free(gap);
        onTaken();
      };
      heap.set = set;
      return placed;
    };
    module.mountExternalData(path, { byteLength: bytes, subarray });
  }
  return () => failure;
}
