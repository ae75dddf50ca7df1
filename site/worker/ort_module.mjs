// ONNX Runtime Web's own WebAssembly module, kept where a decoder can reach it.
//
// The runtime imports its module from `env.wasm.wasmPaths.mjs`, which names this file; this file imports
// the real one. What is used of it (decoder_wasm.js) are the C functions that the runtime itself calls.

import { memoryOf } from './memory.js';

/** @type {import('./ort_c.js').OrtModule | null} */
let created = null;
/** @type {WebAssembly.Memory | null} */
let memory = null;

/** @param {object} options */
export default async function create(options) {
  // Imported when it is needed, so that the worker's own resource timing counts it.
  const { default: createModule } = await import(
    '../vendor/onnxruntime/ort-wasm-simd-threaded.mjs'
  );
  created = await createModule(options);
  memory = memoryOf(/** @type {{HEAPU8: Uint8Array}} */ (created).HEAPU8.buffer);
  return created;
}

/** @returns {import('./ort_c.js').OrtModule} the newest, once the runtime has started */
export function ortModule() {
  if (created === null) throw new Error('ONNX Runtime has not started');
  return created;
}

/** @returns {WebAssembly.Memory} its memory; `watchMemory` must have been called before it was made */
export function ortMemory() {
  if (memory === null) throw new Error("nobody watched ONNX Runtime's memory being made");
  return memory;
}
