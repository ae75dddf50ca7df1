// Any model, weighed: sizes by the same Python that builds the catalog, the verdict by what is known of
// this device.

import { chooseDevice } from './device.js';
import { readLimits } from './limits.js';
import { networkRate } from './network.js';
import { planDownload } from './plan.js';
import { probe } from './probe.js';
import { judge } from './verdict.js';
import { WorkerClient } from './worker_client.js';

/**
 * @typedef {import('./catalog_types.js').Sizes} Sizes
 * @typedef {{wire_bytes: number, wire_range: [number, number], decoded_bytes: number, memory_bytes: number,
 *   kv_bytes_per_token: number | null, sizes: Record<string, Sizes>}} Estimate
 * @typedef {{parameters: {total: number, stored: number, embedding: number}, weight_class: string,
 *   dtypes: Record<string, Estimate>}} Weighed
 * @typedef {Weighed & {encoder: boolean, shape: {vocabulary: number, hidden: number}}} Answer
 * @typedef {{name: string, config: object, weighed: Weighed}} Published
 */

const WORKER = new URL('../worker/calculator_worker.js', import.meta.url);
const PUBLISHED = new URL('../vendor/published.json', import.meta.url);

/** @returns {Promise<Published[]>} the article's examples */
export async function publishedModels() {
  const response = await fetch(PUBLISHED);
  if (!response.ok) throw new Error(`${PUBLISHED} answered ${response.status}`);
  return await response.json();
}

/** Python in a worker of its own, from `open` until `close`. */
export class Calculator {
  constructor() {
    this.client = new WorkerClient(WORKER);
    this.ready = this.client.request('open', null);
  }

  /**
   * @param {string} text a `config.json`, or a count like 2B
   * @returns {Promise<{ok?: Answer, error?: {code: string, detail: string}}>}
   */
  async weigh(text) {
    await this.ready;
    return await this.client.request('weigh', { text });
  }
}

/**
 * @param {Answer} answer
 * @param {string} dtype
 * @returns {Promise<import('./verdict.js').Verdict>} on WASM, which every device has
 */
export async function judgeAnswer(answer, dtype) {
  const estimate = answer.dtypes[dtype];
  if (estimate === undefined) throw new Error(`nothing was weighed in ${dtype}`);
  const path = 'calculated';
  const file = { role: 'weights', path, dtype, codec: 'zstd', sha256: '' };
  const model = /** @type {import('./catalog_types.js').Model} */ (
    /** @type {unknown} */ ({
      id: path,
      shape: answer.shape,
      task: answer.encoder ? 'feature_extraction' : 'text_generation',
      files: [{ ...file, bytes: estimate.wire_bytes, decoded_bytes: estimate.decoded_bytes }],
      devices: Object.fromEntries(
        Object.entries(estimate.sizes).map(([device, sizes]) => [
          device,
          {
            layout: device === 'wasm_small' ? 'int8' : answer.encoder ? 'file' : 'float32',
            files: { [dtype]: [path] },
            sizes: { [dtype]: sizes },
          },
        ]),
      ),
    })
  );
  const choice = await chooseDevice('wasm', model, dtype);
  const small = 'wasm_small' in estimate.sizes;
  const devices = /** @type {import('./device.js').Device[]} */ ([
    'wasm',
    ...(small ? ['wasm_small'] : []),
  ]);
  const [limits, rates, plan] = await Promise.all([
    readLimits(false),
    probe(),
    planDownload(model, dtype, { ...choice, devices }),
  ]);
  return judge({
    model,
    dtype,
    choice: { ...choice, devices },
    plan,
    limits,
    rates,
    gpu: null,
    network: networkRate(),
    pairs: [],
    surrogate: null,
  });
}
