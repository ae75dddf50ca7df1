// ONNX Runtime Web: started, and models opened on the device that is asked for.

import { DecoderHost } from './decoder_host.js';
import { WasmDecoder } from './decoder_wasm.js';
import { Dequantizer } from './dequantize.js';
import { blockFiles, plan } from './expand.js';
import { discard } from './memory.js';
import { mount } from './mount.js';
import { ortMemory, ortModule } from './ort_module.mjs';
import { Parts } from './parts.js';
import { inMemory, readPlanes } from './planes.js';

/**
 * @typedef {import('onnxruntime-web').InferenceSession} InferenceSession
 * @typedef {import('onnxruntime-web').Tensor} Tensor
 * @typedef {import('../js/protocol.js').RuntimeBuild} Build
 * @typedef {typeof import('onnxruntime-web')} Ort
 */

const VENDORED = new URL('../vendor/onnxruntime/', import.meta.url).href;
const WASM_MODULE = new URL('./ort_module.mjs', import.meta.url).href;

/** @type {Record<Build, {module: string, binary: string}>} */
const BUILDS = {
  wasm: { module: 'ort.wasm.min.mjs', binary: 'ort-wasm-simd-threaded' },
  jspi: { module: 'ort.jspi.min.mjs', binary: 'ort-wasm-simd-threaded.jspi' },
  asyncify: { module: 'ort.webgpu.min.mjs', binary: 'ort-wasm-simd-threaded.asyncify' },
};

// onnx.helper's smallest model, y = Identity(x): opening it compiles the runtime while weights arrive.
const IDENTITY_MODEL =
  'CAgSADo+ChAKAXgSAXkiCElkZW50aXR5EghpZGVudGl0eVoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBE=';

/** The name that every graph knows its external data by (export/pesoleve/graph/storage.py). */
const EXTERNAL_DATA = 'weights.bin';

/** @param {Build} build @param {number} threads @returns {Promise<Ort>} compiled and ready */
async function startRuntime(build, threads) {
  const { module, binary } = BUILDS[build];
  /** @type {Ort} */
  const ort = await import(`${VENDORED}${module}`);
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = {
    mjs: build === 'wasm' ? WASM_MODULE : `${VENDORED}${binary}.mjs`,
    wasm: `${VENDORED}${binary}.wasm`,
  };
  const identity = Uint8Array.from(atob(IDENTITY_MODEL), (char) => char.charCodeAt(0));
  const session = await ort.InferenceSession.create(identity, { executionProviders: ['wasm'] });
  await session.release();
  return ort;
}

/** @param {[number, number, number]} kvShape @returns {Record<string, 'gpu-buffer'>} */
export function keptOnGpu([layers]) {
  const names = Array.from({ length: layers }, (_, i) => [
    `present.${i}.key`,
    `present.${i}.value`,
  ]);
  return Object.fromEntries(names.flat().map((name) => [name, 'gpu-buffer']));
}

/**
 * For a decoder on WASM: its graph is fused when it is built (export/pesoleve/graph/cpu_kernels.py), and has nothing
 * left that the larger passes look for.
 *
 * @type {import('onnxruntime-web').InferenceSession.SessionOptions}
 */
export const FUSED = { graphOptimizationLevel: 'basic' };

/** The first tokens one by one, later ones so many at once (export/pesoleve/graph/int8.py). */
export const INT8_STEPS = /** @type {[number, number]} */ ([4, 32]);

export class OrtHost {
  /**
   * @param {Build} build
   * @param {number} threads
   * @param {Ort} ort of that build
   * @param {number} startSeconds
   */
  constructor(build, threads, ort, startSeconds) {
    this.build = build;
    this.threads = threads;
    /** The runtime of the newest session; its tensors must be of the same one. */
    this.ort = ort;
    this.startSeconds = startSeconds;
  }

  /** @param {Build} build @param {number} threads */
  static async start(build, threads) {
    const begun = performance.now();
    const ort = await startRuntime(build, threads);
    return new OrtHost(build, threads, ort, (performance.now() - begun) / 1000);
  }

  /**
   * @param {string} device
   * @param {Uint8Array} graph
   * @param {Uint8Array} weights
   * @param {Record<string, string>} config session configuration entries
   * @returns {Promise<InferenceSession>}
   */
  async openSession(device, graph, weights, config) {
    return await this.create(device, graph, [{ path: EXTERNAL_DATA, data: weights }], {
      extra: config,
    });
  }

  /**
   * @param {string} device
   * @param {Uint8Array} graph
   * @param {Uint8Array<ArrayBuffer> | import('../js/protocol.js').Part[]} planes written a tensor at a time, when the
   *   session takes it; parts, for the layout of integers alone, are read then
   * @param {import('./expand.js').Layout} layout
   * @param {Record<string, string>} config session configuration entries
   * @param {[number, number, number]} kvShape layers, key and value heads, the size of a head
   * @param {boolean} last whether no other device wants `planes` after this one: they go as soon as all are written
   * @returns {Promise<DecoderHost | WasmDecoder>}
   */
  async openDecoder(device, graph, planes, layout, config, kvShape, last) {
    const [, heads, size] = kvShape;
    if (device === 'webgpu') {
      const session = await this.create(
        device,
        graph,
        blockFiles(/** @type {Uint8Array} */ (planes)),
        {
          extra: config,
          preferredOutputLocation: keptOnGpu(kvShape),
        },
      );
      return new DecoderHost(this.ort, session, [heads, size]);
    }
    await this.startWasm();
    const module = ortModule();
    const dequantizer = await Dequantizer.open(module, ortMemory());
    const parts = Array.isArray(planes) ? await Parts.open(planes) : null;
    try {
      const file = readPlanes(parts ?? inMemory(/** @type {Uint8Array} */ (planes)));
      const failure = mount(module, plan(file, layout, dequantizer), () => {
        if (last && !Array.isArray(planes)) discard(planes.buffer);
      });
      const options = { ...FUSED, extra: config };
      const session = await this.create('wasm', graph, [], options).catch((error) => {
        throw failure() ?? error;
      });
      const steps = layout === 'int8' ? INT8_STEPS : null;
      return new WasmDecoder(module, session, [heads, size], steps);
    } finally {
      parts?.close();
    }
  }

  /**
   * @param {string} device
   * @param {Uint8Array} graph
   * @param {import('./expand.js').ExternalFile[]} externalData
   * @param {import('onnxruntime-web').InferenceSession.SessionOptions} options
   */
  async create(device, graph, externalData, options) {
    if (device === 'wasm') await this.startWasm();
    return await this.ort.InferenceSession.create(graph, {
      executionProviders: [device],
      externalData,
      logSeverityLevel: 3,
      ...options,
    });
  }

  /** The WebGPU builds leave out CPU kernels that the WASM build has (GatherBlockQuantized). */
  async startWasm() {
    if (this.build === 'wasm') return;
    this.build = 'wasm';
    this.ort = await startRuntime('wasm', this.threads);
  }

  /** @param {number[]} flat @param {number} rows @param {number} columns @returns {Tensor} */
  int64Tensor(flat, rows, columns) {
    return new this.ort.Tensor('int64', BigInt64Array.from(flat, BigInt), [rows, columns]);
  }
}
