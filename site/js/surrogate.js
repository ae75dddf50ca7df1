// A model's speed, from its own graph cut to two layers: closer than a probe, for the runtime's megabytes and
// no weight.

import { DEFAULT_CATALOG } from './catalog.js';
import { PROMPT_TOKENS, SENTENCE_TOKENS } from './verdict.js';
import { WorkerClient } from './worker_client.js';

/**
 * @typedef {import('./catalog_types.js').Model} Model
 * @typedef {object} Question  what site/worker/surrogate_worker.js is asked
 * @property {string} url @property {import('./catalog_types.js').File} file the graph
 * @property {string} device @property {import('./protocol.js').RuntimeBuild} build @property {number} threads
 * @property {string} layout @property {Record<string, string>} config session configuration entries
 * @property {number} weightBytes
 * @property {[number, number, number] | null} kvShape layers, heads and size; null where nothing is written
 * @property {number} tokens of the prompt
 *
 * @typedef {object} Timed  scaled to the whole model, in seconds
 * @property {number} first @property {number | null} token
 */

const WORKER = new URL('../worker/surrogate_worker.js', import.meta.url);
const LAYERS = 2; // export/pesoleve/graph/surrogate.py

/** @type {Map<string, Promise<Timed>>} by what was timed: once a page */
const known = new Map();

/**
 * @param {Model} model
 * @param {string} device
 * @param {string} dtype
 * @param {import('./device.js').DeviceChoice} choice
 * @param {string} [catalogUrl]
 * @returns {Promise<Timed | null>} null where the model has no surrogate
 * @throws {import('./errors.js').PesoLeveError}
 */
export async function timeSurrogate(model, device, dtype, choice, catalogUrl = DEFAULT_CATALOG) {
  const key = `${model.id}/${device}/${dtype}/${choice.threads}`;
  const timed = known.get(key) ?? time(model, device, dtype, choice, catalogUrl);
  if (timed === null) return null;
  known.set(key, timed);
  timed.catch(() => known.delete(key)); // the next call tries again
  return await timed;
}

/**
 * @param {Model} model @param {string} device @param {string} dtype
 * @param {import('./device.js').DeviceChoice} choice @param {string} catalogUrl
 * @returns {Promise<Timed> | null}
 */
function time(model, device, dtype, { build, threads }, catalogUrl) {
  const how = model.devices[device];
  const cut = how?.surrogates[dtype];
  const whole = how?.sizes[dtype];
  const file = model.files.find(({ path }) => path === cut?.path);
  if (how === undefined || cut === undefined || whole === undefined || file === undefined)
    return null;
  const writes = model.task === 'text_generation';
  const { kv_heads, head_size } = model.shape;
  /** @type {Question} */
  const question = {
    url: new URL(file.path, new URL(catalogUrl, location.href)).href,
    file,
    device,
    build: device === 'webgpu' ? build : 'wasm',
    threads,
    layout: how.layout,
    config: how.session_config,
    weightBytes: cut.weight_bytes,
    kvShape: writes ? [LAYERS, kv_heads, head_size] : null,
    tokens: writes ? PROMPT_TOKENS : SENTENCE_TOKENS,
  };
  const client = new WorkerClient(WORKER);
  /** @type {Promise<import('../worker/surrogate_worker.js').Times>} */
  const answer = client.request('time', question);
  return answer
    .then(({ first, token }) => ({
      first: (first * whole.multiply_adds) / cut.multiply_adds,
      token: token === null ? null : (token * whole.read_bytes) / cut.read_bytes,
    }))
    .finally(() => client.worker.terminate());
}
