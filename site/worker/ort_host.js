// What Python's host needs that only JS can do: ONNX Runtime Web's sessions and tensors. Handles go to
// Python; numbers stay here.

import { openChatTemplate } from './chat_template.js';
import { DecoderHost } from './decoder_host.js';
import { WasmDecoder } from './decoder_wasm.js';
import { plan } from './expand.js';
import { ortModule } from './ort_module.mjs';
import { loadTokenizers } from './tokenizer_host.js';

/**
 * @typedef {import('onnxruntime-web').InferenceSession} InferenceSession
 * @typedef {import('onnxruntime-web').Tensor} Tensor
 * @typedef {import('../js/protocol.js').Phase} Phase
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
 * Let the session take each weight when it wants it, and nothing hold it afterwards: the runtime copies
 * what `subarray` returns into its heap, and asks for no tensor twice. It unmounts them when it is done.
 *
 * @param {import('./decoder_wasm.js').OrtModule} module
 * @param {import('./expand.js').PendingFile[]} files
 */
function mount(module, files) {
  for (const file of files) {
    let make = /** @type {(() => Uint8Array) | null} */ (file.make);
    module.mountExternalData(file.path, {
      byteLength: file.bytes,
      subarray(start, end) {
        if (make === null) throw new Error(`${file.path} was taken already`);
        const data = make();
        make = null;
        return data.subarray(start, end);
      },
    });
  }
}

/** The first tokens one by one, later ones so many at once (export/pesoleve/graph/layouts.py). */
export const INT8_STEPS = /** @type {[number, number]} */ ([4, 32]);

export class OrtHost {
  /**
   * @param {Build} build
   * @param {number} threads
   * @param {Ort} ort of that build
   * @param {(json: Uint8Array) => import('./tokenizer_host.js').HostTokenizer} openTokenizer
   * @param {number} startSeconds
   */
  constructor(build, threads, ort, openTokenizer, startSeconds) {
    this.build = build;
    this.threads = threads;
    /** The runtime of the newest session; its tensors must be of the same one. */
    this.ort = ort;
    this.openTokenizer = openTokenizer;
    this.openChatTemplate = openChatTemplate;
    this.startSeconds = startSeconds;
  }

  /** @param {Build} build @param {number} threads */
  static async start(build, threads) {
    const begun = performance.now();
    const [ort, openTokenizer] = await Promise.all([
      startRuntime(build, threads),
      loadTokenizers(),
    ]);
    return new OrtHost(build, threads, ort, openTokenizer, (performance.now() - begun) / 1000);
  }

  /**
   * Call what returns a promise, for Python, which is not to see one (`Promised`,
   * python_worker/pesoleve_worker/work.py).
   *
   * @param {any} target @param {string} method @param {unknown[]} given
   * @returns {{promise: Promise<unknown>}}
   */
  later(target, method, ...given) {
    return { promise: target[method](...given) };
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
   * @param {Uint8Array<ArrayBuffer>} planes expanded a tensor at a time, when the session takes it
   * @param {import('./expand.js').Layout} layout
   * @param {Record<string, string>} config session configuration entries
   * @param {[number, number, number]} kvShape layers, key and value heads, the size of a head
   * @param {(stage: string) => void} begin
   * @returns {Promise<DecoderHost | WasmDecoder>}
   */
  async openDecoder(device, graph, planes, layout, config, kvShape, begin) {
    const pending = plan(planes, layout);
    const [, heads, size] = kvShape;
    if (device === 'webgpu') {
      const external = pending.map(({ path, make }) => ({ path, data: make() }));
      const session = await this.create(device, graph, external, {
        extra: config,
        preferredOutputLocation: keptOnGpu(kvShape),
      });
      return new DecoderHost(this.ort, session, [heads, size]);
    }
    begin('session');
    await this.startWasm();
    mount(ortModule(), pending);
    const session = await this.create('wasm', graph, [], { extra: config });
    planes.buffer.transfer?.(0); // no other device comes after this one, and these are 100 MB
    const steps = layout === 'int8' ? INT8_STEPS : null;
    return new WasmDecoder(ortModule(), session, [heads, size], steps);
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

  /**
   * @param {Tensor} tensor float32
   * @param {number[]} expected
   * @returns {number} the largest |difference|; Infinity when lengths differ or a value is no number
   */
  largestDifference(tensor, expected) {
    const data = /** @type {Float32Array} */ (tensor.data);
    if (data.length !== expected.length) return Number.POSITIVE_INFINITY;
    let worst = 0;
    for (let i = 0; i < data.length; i++) {
      const difference = Math.abs(
        /** @type {number} */ (data[i]) - /** @type {number} */ (expected[i]),
      );
      if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
      if (difference > worst) worst = difference;
    }
    return worst;
  }

  /**
   * @param {[number[], Tensor][]} batches each row's place among the inputs, and the rows
   * @returns {{vectors: Float32Array[]}} one vector an input, in the inputs' order
   */
  collectVectors(batches) {
    /** @type {Float32Array[]} */
    const vectors = [];
    for (const [indices, tensor] of batches) {
      const data = /** @type {Float32Array} */ (tensor.data);
      const width = data.length / indices.length;
      indices.forEach((index, row) => {
        vectors[index] = data.slice(row * width, (row + 1) * width);
      });
      tensor.dispose();
    }
    return { vectors };
  }

  /**
   * Time the stages that Python names as it loads, and report each as it begins and ends.
   *
   * @param {(progress: import('../js/protocol.js').Progress) => void} report
   */
  watchStages(report) {
    /** @type {Record<string, number>} */
    const seconds = {};
    /** @type {{phase: Phase, begun: number} | null} */
    let current = null;
    const end = () => {
      if (current === null) return;
      const { phase, begun } = current;
      seconds[phase] = (seconds[phase] ?? 0) + (performance.now() - begun) / 1000;
      report({ phase, file: '', loaded: 1, total: 1 });
      current = null;
    };
    /** @param {string} stage */
    const begin = (stage) => {
      end();
      const phase = /** @type {Phase} */ (stage);
      current = { phase, begun: performance.now() };
      report({ phase, file: '', loaded: 0, total: 1 });
    };
    return { seconds, begin, end };
  }
}
