// The public module: catalog, weigh, load. A page needs nothing else.
//
//   import { catalog, weigh, load } from './js/pesoleve.js';
//   const { verdict, reasons } = await weigh('minilm-l6');       // no weight is fetched for it
//   const model = await load('minilm-l6', { onProgress: console.log });
//   const { vectors } = await model.run(['a sentence', 'another']);
//   await model.dispose();
//
//   const chat = await load('smollm2-135m-instruct');
//   for await (const { text } of chat.generate([{ role: 'user', content: 'Hi!' }])) show(text);

import { fetchCatalog } from './catalog.js';
import { classify } from './classes.js';
import { PesoLeveError } from './errors.js';
import { start } from './start.js';

export { PesoLeveError } from './errors.js';
export { pairs } from './pairs.js';
export { plan, weigh } from './weigh.js';

/**
 * @typedef {import('./catalog_types.js').Model} CatalogModel
 * @typedef {import('./device.js').DeviceOption} DeviceOption
 * @typedef {import('./device.js').DeviceChoice} DeviceChoice
 * @typedef {import('./protocol.js').Progress} Progress
 * @typedef {import('./protocol.js').LoadResult} LoadResult
 *
 * @typedef {object} LoadOptions
 * @property {DeviceOption} [device] 'auto' takes WebGPU where there is a real adapter, else WASM
 * @property {string} [dtype] the catalog's default when absent
 * @property {string} [catalogUrl]
 * @property {(progress: Progress) => void} [onProgress]
 * @property {AbortSignal} [signal] stops the downloads and the worker; what has arrived is kept
 * @property {boolean} [keep] the files on this device for the next visit; true
 * @property {Partial<import('./protocol.js').Patience>} [patience] with a connection that drops or stalls
 *
 * @typedef {object} Stats  All measured; bytes, and seconds.
 * @property {string} id
 * @property {string} dtype
 * @property {string} device
 * @property {DeviceChoice} choice what was to be tried, and why
 * @property {import('./protocol.js').Rejected[]} rejected devices that were tried and left
 * @property {number} threads
 * @property {number} canaryDifference
 * @property {(Omit<import('./protocol.js').ModelFile, 'from'> & {from: string})[]} files everything that
 *   was fetched for this load; `start` in seconds on the page's clock
 * @property {import('./protocol.js').Storage} storage where the model's files are kept
 * @property {{model: number, total: number}} bytes on the wire, without HTTP headers
 * @property {Record<string, number>} seconds by stage; `total` is from the call to the answer
 * @property {import('./protocol.js').Memory & {total: number, loading: number}} memory WebAssembly heaps, in
 *   bytes; `loading`: they and the model's files, at their most while it loaded
 * @property {{inputs: number, seconds: number}[]} runs
 * @property {Generation[]} generations every answer that was not cancelled
 *
 * @typedef {Omit<import('./protocol.js').GenerateResult, 'text' | 'token_ids' | 'log_probabilities'
 *   | 'timings'> & {generated_tokens: number,
 *   seconds: import('./protocol.js').GenerateResult['timings']}} Generation
 *
 * @typedef {object} GenerateOptions
 * @property {number} [max_new_tokens]
 * @property {number} [temperature] 0, the default, takes the likeliest token every time
 * @property {number} [top_k]
 * @property {number} [top_p]
 * @property {number} [min_p]
 * @property {number} [repetition_penalty]
 * @property {number} [seed] makes sampling repeat itself
 * @property {string[]} [stop] strings that end the answer
 * @property {boolean} [speculative_decoding] guess what comes next, and check several tokens at once: the
 *   same answer, sooner; true
 * @property {boolean} [log_probabilities]
 * @property {'oldest'} [trim] leave out the oldest turns where the conversation is too long
 * @property {AbortSignal} [signal] stops within a token
 * @property {(loaded: number, total: number) => void} [onPrefill] tokens of the prompt read
 */

/**
 * @param {{url?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<CatalogModel[]>}
 * @throws {PesoLeveError}
 */
export async function catalog({ url, signal } = {}) {
  return await fetchCatalog(url, signal);
}

/**
 * Download, verify and open a model.
 *
 * @param {string} id
 * @param {LoadOptions} [options]
 * @returns {Promise<Model>}
 * @throws {PesoLeveError}
 */
export async function load(id, options = {}) {
  const { client, entry, stats } = await start(id, options);
  return new Model(client, entry, stats, options);
}

/** How long a worker may say nothing while it answers; even a slow device reads 128 tokens in that. */
const STALL_MS = 120_000;

/** Calls back when it was not fed for too long. */
class Watchdog {
  /** @param {() => void} bark */
  constructor(bark) {
    this.bark = bark;
    this.feed();
  }

  feed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.bark, STALL_MS);
  }

  stop() {
    clearTimeout(this.timer);
  }
}

/** A model that is ready to run, in a worker of its own. */
export class Model {
  /** @param {import('./worker_client.js').WorkerClient} client @param {CatalogModel} entry @param {Stats} stats @param {LoadOptions} options */
  constructor(client, entry, stats, options) {
    this.client = client;
    this.entry = entry;
    this.stats = stats;
    this.options = options;
  }

  /**
   * Run the model's task. `feature_extraction` takes sentences and gives a vector for each;
   * `text_classification` takes sentences and gives of each the likeliest label, as `classes`.
   *
   * @param {string[]} inputs
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<import('./protocol.js').RunResult & {classes?: import('./classes.js').Classified[]}>}
   * @throws {PesoLeveError}
   */
  async run(inputs, { signal } = {}) {
    const begun = performance.now();
    /** @type {import('./protocol.js').RunResult} */
    const result = await this.client.request('run', { inputs }, { signal });
    this.stats.runs.push({ inputs: inputs.length, seconds: (performance.now() - begun) / 1000 });
    const { pipeline } = this.entry;
    if (!('labels' in pipeline)) return result;
    const { labels } = pipeline;
    return { ...result, classes: result.vectors.map((row) => classify(labels, row)) };
  }

  /**
   * Answer a conversation, piece by piece (task `text_generation`). Leaving the loop cancels the rest.
   *
   * @param {import('../worker/chat_template.js').Message[]} messages the last from the user
   * @param {GenerateOptions} [options]
   * @returns {AsyncGenerator<import('./protocol.js').Piece, import('./protocol.js').GenerateResult>}
   * @throws {PesoLeveError} aborted; prompt_too_long, unless `trim` is 'oldest'; worker_died, when the
   *   worker crashed or hung: call again with the same messages, and a new one goes on
   */
  async *generate(messages, { signal, onPrefill = () => {}, ...options } = {}) {
    if (this.client.dead?.code === 'worker_died') await this.restart();
    const { client } = this;
    const watchdog = new Watchdog(() =>
      client.kill(new PesoLeveError('worker_died', `No answer for ${STALL_MS / 1000} s.`)),
    );
    const leave = new AbortController();
    /** @type {ReadableStreamDefaultController<import('./protocol.js').Piece>} */
    let pieces;
    const stream = new ReadableStream({
      start(controller) {
        pieces = controller;
      },
    });
    const known = Object.entries(options).filter(([, value]) => value !== undefined);
    /** @type {Promise<import('./protocol.js').GenerateResult>} */
    const answer = client.request(
      'generate',
      { messages, options: Object.fromEntries(known) },
      {
        signal: signal ? AbortSignal.any([signal, leave.signal]) : leave.signal,
        onProgress: ({ loaded, total }) => {
          watchdog.feed();
          onPrefill(loaded, total);
        },
        onToken: ({ text, token_ids, log_probabilities }) => {
          watchdog.feed();
          if (!leave.signal.aborted) pieces.enqueue({ text, token_ids, log_probabilities });
        },
      },
    );
    answer.then(
      () => !leave.signal.aborted && pieces.close(),
      (error) => pieces.error(error),
    );
    try {
      yield* stream;
      const result = await answer;
      this.stats.generations.push(summarize(result));
      return result;
    } finally {
      watchdog.stop();
      leave.abort();
    }
  }

  /** Start the model again in a new worker, after `worker_died`. */
  async restart() {
    this.client.kill(new PesoLeveError('worker_died', 'The worker was restarted.'));
    const { client, stats } = await start(this.entry.id, this.options);
    this.client = client;
    this.stats = stats;
  }

  /** Free the model and stop its worker. Later runs are rejected. */
  async dispose() {
    this.client.kill(new PesoLeveError('not_loaded', `${this.entry.id} was disposed of.`));
  }
}

/** @param {import('./protocol.js').GenerateResult} result @returns {Generation} */
function summarize({ text, token_ids, log_probabilities, timings, ...counts }) {
  return { ...counts, generated_tokens: token_ids.length, seconds: timings };
}
