// Which device a model is to run on here, and why.

import { PesoLeveError } from './errors.js';

/**
 * @typedef {'wasm' | 'wasm_small' | 'webgpu'} Device  `wasm_small` is WASM with a layout of the weights
 *   that takes a quarter of the memory, for the models that have one
 * @typedef {'auto' | Device} DeviceOption
 * @typedef {'asked' | 'little_memory' | 'adapter_found' | 'no_webgpu' | 'no_adapter' | 'software_adapter'} DeviceReason
 * @typedef {object} DeviceChoice
 * @property {Device[]} devices in the order to try
 * @property {DeviceReason} reason why the first of them is first
 * @property {string} adapter what the GPU calls itself; empty without one
 * @property {import('./protocol.js').RuntimeBuild} build the ONNX Runtime that can do all of them
 * @property {number} threads
 * @property {boolean} isolated whether it could have more than one thread
 * @typedef {Pick<import('./catalog_types.js').Model, 'devices'>} Weighed
 */

/** More threads than this gain little on models of a page's size, and cost memory each. */
const MOST_THREADS = 8;

/** Below so many GiB of the device's own, by `navigator.deviceMemory`, the small layout is chosen. */
const LITTLE_MEMORY = 4;

/**
 * Multiplications a token below which one thread is the fastest: several wait longer for each other, at every
 * node of the graph, than they compute (`python -m e2e.bench.lab`).
 */
const WORTH_THREADS = 4_000_000;

/** WASM threads need shared memory, which the browser gives only to an isolated page. */
export function threadCount() {
  return self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
}

/** @param {Weighed} model @param {string} dtype @returns {number} with which it runs fastest here */
function threadsFor({ devices }, dtype) {
  const work = devices.wasm?.sizes[dtype]?.multiply_adds ?? WORTH_THREADS;
  return work < WORTH_THREADS ? 1 : threadCount();
}

/**
 * @param {DeviceOption} option
 * @param {Weighed} model
 * @param {string} dtype
 * @returns {Promise<DeviceChoice>}
 * @throws {PesoLeveError} option_invalid; device_unavailable when WebGPU is asked for and not there
 */
export async function chooseDevice(option, model, dtype) {
  if (!['auto', 'wasm', 'wasm_small', 'webgpu'].includes(option)) {
    throw new PesoLeveError(
      'option_invalid',
      `device is 'auto', 'wasm', 'wasm_small' or 'webgpu', not '${option}'`,
    );
  }
  const threads = threadsFor(model, dtype);
  const isolated = self.crossOriginIsolated;
  if (option === 'wasm' || option === 'wasm_small') {
    return { devices: [option], reason: 'asked', adapter: '', build: 'wasm', threads, isolated };
  }
  const memory = /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory ?? LITTLE_MEMORY;
  const small = memory < LITTLE_MEMORY && 'wasm_small' in model.devices;
  const found = await findAdapter();
  if (found.name !== null && (option === 'webgpu' || found.reason === 'adapter_found')) {
    const reason = option === 'webgpu' ? 'asked' : found.reason;
    const build = 'Suspending' in WebAssembly ? 'jspi' : 'asyncify';
    return {
      devices: ['webgpu', small ? 'wasm_small' : 'wasm'],
      reason,
      adapter: found.name,
      build,
      threads,
      isolated,
    };
  }
  if (option === 'webgpu') {
    throw new PesoLeveError(
      'device_unavailable',
      `This browser offers no WebGPU (${found.reason}).`,
    );
  }
  const adapter = found.name ?? '';
  if (small) {
    return {
      devices: ['wasm_small'],
      reason: 'little_memory',
      adapter,
      build: 'wasm',
      threads,
      isolated,
    };
  }
  return { devices: ['wasm'], reason: found.reason, adapter, build: 'wasm', threads, isolated };
}

/** @returns {Promise<{name: string | null, reason: Exclude<DeviceReason, 'asked'>}>} */
async function findAdapter() {
  if (!('gpu' in navigator)) return { name: null, reason: 'no_webgpu' };
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) return { name: null, reason: 'no_adapter' };
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const name = description || `${vendor} ${architecture}`.trim() || 'WebGPU';
  // A GPU drawn by the CPU computes rightly and a hundred times slower than WASM.
  const software =
    isFallbackAdapter || /swiftshader|llvmpipe|basic render/i.test(`${name} ${architecture}`);
  return { name, reason: software ? 'software_adapter' : 'adapter_found' };
}
