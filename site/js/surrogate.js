// A model's speed, from its own graph cut to its first layers: closer than a probe, for the runtime's megabytes and
// no weight.

import { DEFAULT_CATALOG, fileAt } from './catalog.js';
import { rateOf } from './network.js';
import { PROMPT_TOKENS, SENTENCE_TOKENS, waiting } from './predict.js';
import { WorkerClient } from './worker_client.js';

/**
 * @typedef {import('./catalog_types.js').Model} Model
 * @typedef {import('./catalog_types.js').Surrogate & {url: string,
 *   file: import('./catalog_types.js').File}} Graph
 * @typedef {object} Question  what site/worker/surrogate_worker.js is asked
 * @property {Graph[]} graphs the fewest layers first
 * @property {string} device @property {import('./protocol.js').RuntimeBuild} build @property {number} threads
 * @property {string} layout @property {Record<string, string>} config session configuration entries
 * @property {[number, number] | null} kvShape heads and their size; null where nothing is written
 * @property {number} tokens of the prompt
 *
 * @typedef {object} Timed  of the whole model, in seconds
 * @property {number} first @property {number | null} token
 * @property {import('./network.js').Rate | null} network as Python's memory arrived; null where it was here
 */

const WORKER = new URL('../worker/surrogate_worker.js', import.meta.url);

/** @type {Map<string, Promise<Timed>>} by what was timed: once a page */
const known = new Map();

/**
 * @param {Model} model
 * @param {string} device
 * @param {string} dtype
 * @param {import('./device.js').DeviceChoice} choice
 * @param {import('./probe.js').Probe | null} rates
 * @param {string} [catalogUrl]
 * @returns {Promise<Timed | null>} null where the model has no surrogate
 * @throws {import('./errors.js').PesoLeveError}
 */
export async function timeSurrogate(
  model,
  device,
  dtype,
  choice,
  rates,
  catalogUrl = DEFAULT_CATALOG,
) {
  const key = `${model.id}/${device}/${dtype}/${choice.threads}`;
  const timed = known.get(key) ?? time(model, device, dtype, choice, rates, catalogUrl);
  if (timed === null) return null;
  known.set(key, timed);
  timed.catch(() => known.delete(key)); // the next call tries again
  return await timed;
}

/**
 * @param {Model} model @param {string} device @param {string} dtype
 * @param {import('./device.js').DeviceChoice} choice @param {import('./probe.js').Probe | null} rates
 * @param {string} catalogUrl
 * @returns {Promise<Timed> | null}
 */
function time(model, device, dtype, { build, threads }, rates, catalogUrl) {
  const how = model.devices[device];
  const cuts = how?.surrogates[dtype] ?? [];
  const [small, large] = cuts;
  if (how === undefined || small === undefined || large === undefined) return null;
  const writes = model.task === 'text_generation';
  const { kv_heads, head_size, layers } = model.shape;
  /** @type {Question} */
  const question = {
    graphs: cuts.map((cut) => ({
      ...cut,
      url: new URL(cut.path, new URL(catalogUrl, location.href)).href,
      file: fileAt(model, cut.path),
    })),
    device,
    build: device === 'webgpu' ? build : 'wasm',
    threads,
    layout: how.layout,
    config: how.session_config,
    kvShape: writes ? [kv_heads, head_size] : null,
    tokens: writes ? PROMPT_TOKENS : SENTENCE_TOKENS,
  };
  // What a layer takes is the difference; what the embedding and the head take is the rest.
  const whole = (
    /** @type {number} */ few,
    /** @type {number} */ more,
    /** @type {number} */ least,
  ) =>
    few + (layers - small.layers) * Math.max(least, (more - few) / (large.layers - small.layers));
  const least = readingSeconds(model, device, dtype, rates);
  const client = new WorkerClient(WORKER);
  /** @type {Promise<{times: import('../worker/surrogate_worker.js').Times[],
   *   rate: number | null}>} */
  const answer = client.request('time', question);
  return answer
    .then(({ times: [few, more], rate }) => {
      if (few === undefined || more === undefined) throw new Error('two cuts were to be timed');
      const token =
        few.token === null || more.token === null ? null : whole(few.token, more.token, least);
      return {
        first: whole(few.first, more.first, least),
        token,
        network: rate === null ? null : rateOf(rate),
      };
    })
    .finally(() => client.worker.terminate());
}

/**
 * A few layers may stay in the cache from one token to the next, as the whole model does not: a layer takes
 * at least what its weights take to be read from memory.
 *
 * @param {Model} model @param {string} device @param {string} dtype
 * @param {import('./probe.js').Probe | null} rates
 * @returns {number} seconds a layer; 0 where it is not known
 */
function readingSeconds(model, device, dtype, rates) {
  const sizes = model.devices[device]?.sizes[dtype];
  if (rates === null || sizes === undefined || device === 'webgpu') return 0;
  const { vocabulary, hidden, layers } = model.shape;
  const head = model.task === 'text_generation' ? vocabulary * hidden : 0;
  const bytes = (sizes.read_bytes * (1 - head / sizes.multiply_adds)) / layers;
  const rate = model.devices[device]?.layout === 'int8' ? rates.int8 : rates.float32;
  return (bytes / rate) * waiting(rates.threads);
}
