// What Python's host needs that only JS can do. Tokenizers and templates are here; sessions are the compute worker's,
// and handles on them go to Python. Numbers stay here.

import { Caller } from './calls.js';
import { openChatTemplate } from './chat_template.js';
import { loadTokenizers } from './tokenizer_host.js';

/**
 * @typedef {import('../js/protocol.js').Phase} Phase
 * @typedef {import('./holding.js').Dense} Dense
 * @typedef {import('./holding.js').Opened} Opened
 * @typedef {Dense & {dispose: () => void}} Tensor
 */

/** @param {Dense} dense @returns {Tensor} */
function tensor({ data, dims }) {
  return { data, dims, dispose() {} };
}

/** A graph that is open in the compute worker. */
class Session {
  /** @param {Caller} compute @param {Opened} opened */
  constructor(compute, { model, inputNames, outputNames }) {
    this.compute = compute;
    this.model = model;
    this.inputNames = inputNames;
    this.outputNames = outputNames;
  }

  /** @param {Record<string, Tensor>} feeds @returns {Promise<Record<string, Tensor>>} */
  async run(feeds) {
    const given = Object.fromEntries(
      Object.entries(feeds).map(([name, { data, dims }]) => [name, { data, dims }]),
    );
    /** @type {Record<string, Dense>} */
    const outputs = await this.compute.call('run', this.model, given);
    return Object.fromEntries(Object.entries(outputs).map(([name, of]) => [name, tensor(of)]));
  }

  async release() {
    await this.compute.call('release', this.model);
  }
}

/** A decoder that is open in the compute worker, with its KV cache. */
class Decoder {
  /** @param {Caller} compute @param {Opened} opened */
  constructor(compute, { model, widest }) {
    this.compute = compute;
    this.model = model;
    this.widest = widest;
    this.length = 0;
  }

  /**
   * @param {number[]} ids @param {number} topK @param {number} keep
   * @returns {Promise<import('./decoder_host.js').Candidates>}
   */
  async feed(ids, topK, keep) {
    const candidates = await this.compute.call('feed', this.model, ids, topK, keep);
    this.length += ids.length;
    return candidates;
  }

  /** @param {number} length */
  truncate(length) {
    this.length = length;
    void this.compute.call('truncate', this.model, length); // before the next feed, which is called later
  }

  /** @param {number} tokens that the cache will come to hold */
  async reserve(tokens) {
    await this.compute.call('reserve', this.model, tokens);
  }

  async release() {
    await this.compute.call('release', this.model);
  }
}

export class PythonHost {
  /**
   * @param {Caller} compute
   * @param {(json: Uint8Array<ArrayBuffer>) => import('./tokenizer_host.js').HostTokenizer} openTokenizer
   */
  constructor(compute, openTokenizer) {
    this.compute = compute;
    this.openTokenizer = openTokenizer;
    this.openChatTemplate = openChatTemplate;
    /** Seconds that it took to open models. */
    this.sessionSeconds = 0;
  }

  /** @param {MessagePort} port to the compute worker */
  static async start(port) {
    return new PythonHost(new Caller(port), await loadTokenizers());
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

  /** @param {string} device */
  async openSession(device) {
    return new Session(this.compute, await this.open(device));
  }

  /** @param {string} device */
  async openDecoder(device) {
    return new Decoder(this.compute, await this.open(device));
  }

  /** @param {string} device @returns {Promise<Opened>} */
  async open(device) {
    /** @type {Opened} */
    const opened = await this.compute.call('open', device);
    this.sessionSeconds += opened.seconds;
    return opened;
  }

  /** @returns {Promise<{memory: number, fetched: import('../js/protocol.js').FetchedFile[]}>} of the runtime */
  async told() {
    return await this.compute.call('told');
  }

  /** @param {number[]} flat @param {number} rows @param {number} columns @returns {Tensor} int64 */
  int64Tensor(flat, rows, columns) {
    return tensor({ data: BigInt64Array.from(flat, BigInt), dims: [rows, columns] });
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
