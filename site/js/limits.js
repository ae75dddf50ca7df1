// What this device cannot get around, asked without allocating or fetching anything.

/**
 * @typedef {object} Limits
 * @property {boolean} secure files can be verified
 * @property {boolean} simd WebAssembly multiplies four numbers at once, which ONNX Runtime Web takes for granted
 * @property {number} wasm_memory bytes that a WebAssembly heap can have
 * @property {number | null} device_memory bytes, as `navigator.deviceMemory` rounds them; null where the
 *   browser does not say
 * @property {number | null} quota bytes that may be kept beside those that are; null where the browser does not say
 * @property {number | null} gpu_buffer bytes of the largest tensor on the GPU; null without one
 * @property {boolean} shader_f16
 */

const WASM32 = 2 ** 32;

// (module (func (result v128) v128.const …)): valid where there is SIMD.
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10);
const SIMD_BODY = Uint8Array.of(22, 1, 20, 0, 253, 12, ...new Array(16).fill(0), 11);

/** A private window may refuse. @param {unknown} error @returns {null} */
function refused(error) {
  console.info('Peso Leve: this browser does not say how much it would keep:', error);
  return null;
}

/**
 * @param {boolean} gpu whether a model is to run on it
 * @param {Partial<Limits>} [pretended] to see what a smaller device would be told
 * @returns {Promise<Limits>}
 */
export async function readLimits(gpu, pretended = {}) {
  const memory = /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory;
  const [estimate, adapter] = await Promise.all([
    navigator.storage?.estimate?.().catch(refused),
    gpu ? navigator.gpu?.requestAdapter() : null,
  ]);
  const { quota, usage = 0 } = estimate ?? {};
  const { maxBufferSize = 0, maxStorageBufferBindingSize = 0 } = adapter?.limits ?? {};
  return {
    secure: Boolean(globalThis.crypto?.subtle),
    simd: WebAssembly.validate(Uint8Array.of(...SIMD, ...SIMD_BODY)),
    wasm_memory: WASM32,
    device_memory: memory === undefined ? null : memory * 2 ** 30,
    quota: quota === undefined ? null : Math.max(quota - usage, 0),
    gpu_buffer: adapter ? Math.min(maxBufferSize, maxStorageBufferBindingSize) : null,
    shader_f16: adapter?.features.has('shader-f16') ?? false,
    ...pretended,
  };
}
