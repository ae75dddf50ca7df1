// The C functions that ONNX Runtime Web itself calls (onnxruntime/wasm/api.h, as in version 1.30), for what its public
// API would copy.

/**
 * @typedef {object} OrtModule
 * @property {(bytes: number) => number} _malloc
 * @property {(pointer: number) => void} _free
 * @property {(type: number, data: number, bytes: number, dims: number, rank: number, location: number) => number} _OrtCreateTensor
 * @property {(tensor: number, type: number, data: number, dims: number, rank: number) => number} _OrtGetTensorData
 * @property {(tensor: number) => number} _OrtReleaseTensor
 * @property {(session: number, inputNames: number, inputs: number, inputCount: number, outputNames: number,
 *   outputCount: number, outputs: number, options: number) => number | Promise<number>} _OrtRun
 * @property {(code: number, message: number) => number} _OrtGetLastError
 * @property {(pointer: number) => number} _OrtFree
 * @property {(pointer: number, value: number | bigint, type: string) => void} setValue
 * @property {(pointer: number, type: string) => number} getValue
 * @property {(pointer: number) => string} UTF8ToString
 * @property {(text: string, pointer: number, bytes: number) => void} stringToUTF8
 * @property {(text: string) => number} lengthBytesUTF8
 * @property {Uint8Array} HEAPU8
 * @property {(path: string, data: {byteLength: number,
 *   subarray: (start: number, end: number) => ArrayLike<number>}) => void} mountExternalData
 */

export const FLOAT32 = 1;
export const INT64 = 7;
const ON_CPU = 1;

/**
 * @param {OrtModule} module
 * @param {number} type @param {number} data where its values are @param {number} bytes @param {number[]} dims
 * @returns {number} a tensor, to be released
 */
export function createTensor(module, type, data, bytes, dims) {
  const shape = pointers(module, dims);
  const tensor = module._OrtCreateTensor(type, data, bytes, shape, dims.length, ON_CPU);
  module._free(shape);
  if (tensor === 0) throw new Error(lastError(module));
  return tensor;
}

/** @param {OrtModule} module @param {number} tensor float32 or int64 @returns {number[]} */
export function readTensor(module, tensor) {
  const out = allocate(module, 16);
  if (module._OrtGetTensorData(tensor, out, out + 4, out + 8, out + 12) !== 0) {
    throw new Error(lastError(module));
  }
  const [type, data, dims, rank] = [0, 4, 8, 12].map((at) => module.getValue(out + at, '*'));
  let count = 1;
  for (let i = 0; i < Number(rank); i++) count *= module.getValue(Number(dims) + 4 * i, '*');
  module._OrtFree(Number(dims));
  module._free(out);
  const [size, of] = type === INT64 ? [8, 'i64'] : [4, 'float'];
  return Array.from({ length: count }, (_, i) =>
    Number(module.getValue(Number(data) + Number(size) * i, String(of))),
  );
}

/** @param {OrtModule} module */
export function lastError(module) {
  const out = module._malloc(8);
  module._OrtGetLastError(out, out + 4);
  const message = module.getValue(out + 4, '*');
  const text = message === 0 ? 'ONNX Runtime failed without a word' : module.UTF8ToString(message);
  module._free(out);
  return text;
}

/**
 * @param {OrtModule} module @param {number} bytes
 * @returns {number} where there is room for them, to be freed
 * @throws {Error} where there is none: WebAssembly would write to 0 as to any address
 */
export function allocate(module, bytes) {
  const at = module._malloc(bytes);
  if (at === 0) throw new Error(`no memory for ${bytes} bytes`);
  return at;
}

/** @param {OrtModule} module @param {number[]} values @returns {number} where they are, 32 bits each */
export function pointers(module, values) {
  const at = allocate(module, 4 * values.length);
  values.forEach((value, i) => void module.setValue(at + 4 * i, value, '*'));
  return at;
}

/** @param {OrtModule} module @param {string} text @returns {number} where it is, with a zero behind it */
export function cString(module, text) {
  const bytes = module.lengthBytesUTF8(text) + 1;
  const at = allocate(module, bytes);
  module.stringToUTF8(text, at, bytes);
  return at;
}
