// Will it run here? From sizes that were computed when the model was built, what this device cannot get
// around, how fast it multiplies, and what was measured here before. Pure: nothing is asked or fetched.

import { predict } from './predict.js';

/**
 * @typedef {{value: number, low: number, high: number, kind: 'predicted' | 'measured'}} Figure
 *   `low` to `high` should hold nine measurements in ten
 * @typedef {'yes' | 'tight' | 'no' | 'unknown'} Answer
 * @typedef {'insecure_context' | 'no_simd' | 'wasm_memory' | 'gpu_buffer' | 'device_memory' | 'quota' |
 *   'slow' | 'memory_unknown' | 'speed_unknown' | 'network_unknown' | 'one_thread'} ReasonCode
 * @typedef {{code: ReasonCode, limit?: number, needed?: number}} Reason  in bytes; for `slow`, tokens/s
 *
 * @typedef {object} Verdict
 * @property {Answer} verdict 'no' only where a hard limit says so
 * @property {Reason[]} reasons what the verdict rests on, the gravest first
 * @property {import('./limits.js').Limits} limits of this device, or as it was asked to pretend
 * @property {import('./device.js').Device} device
 * @property {string} dtype
 * @property {Figure} bytes to be fetched
 * @property {{download: Figure | null, load: Figure | null, first_token: Figure | null}} seconds `load` is
 *   from the click until it can be used, download and all; `first_token` of a prompt of PROMPT_TOKENS, or
 *   for a model that only reads, the answer to a sentence, once the browser has compiled (the first few are within
 *   the interval): measured, the median of the last
 * @property {Figure | null} tokens_per_second null for a model that writes nothing
 * @property {Figure} memory bytes of heaps and files at their most, while it loads
 * @property {'high' | 'medium' | 'low'} confidence
 * @property {'measured' | 'surrogate' | 'probe' | 'nothing'} basis of its speed: an earlier run here, the model
 *   cut to a few layers, how fast this device multiplies
 *
 * @typedef {object} Basis  what `judge` judges by
 * @property {import('./catalog_types.js').Model} model
 * @property {string} dtype
 * @property {import('./device.js').DeviceChoice} choice
 * @property {import('./plan.js').DownloadPlan} plan
 * @property {import('./limits.js').Limits} limits
 * @property {import('./probe.js').Probe | null} rates
 * @property {import('./probe.js').GpuRates | null} gpu null too where the model is not to run on it
 * @property {import('./network.js').Rate | null} network
 * @property {import('./pairs.js').Pair[]} pairs
 * @property {import('./surrogate.js').Timed | null} surrogate
 */

/** Slower than most people read. */
const SLOW = 5;

/** Of the memory of a model, what is Python's: a heap of its own, so that the limit of one is not its. */
const PYTHON_HEAP = 31.5e6;

/** What a renderer takes beside heaps and files: e2e/test_memory.py holds it. */
const ENGINE_BYTES = 450e6;

/** @param {Basis} basis @returns {Verdict} */
export function judge(basis) {
  const { model, dtype, choice, limits } = basis;
  const candidates = choice.devices.map((device) => ({
    device,
    sizes: sizesOf(model, device, dtype),
    hard: hardLimits(limits, device, sizesOf(model, device, dtype)),
  }));
  const found = candidates.find(({ hard }) => hard.length === 0) ?? candidates[0];
  if (found === undefined) throw new Error(`${model.id} has no device`);
  const { device, sizes, hard } = found;
  const figures = predict(basis, device, sizes);
  const soft = softLimits(basis, sizes, figures);
  const unknown = unknowns(basis, sizes, figures);
  /** @type {Answer} */
  let verdict = 'yes';
  if (hard.length > 0) verdict = 'no';
  else if (soft.length > 0) verdict = 'tight';
  else if (unknown.some(({ code }) => code === 'memory_unknown')) verdict = 'unknown';
  const speed = speedBasis(basis, figures);
  const guess = speed === 'nothing' || limits.device_memory === null ? 'low' : 'medium';
  const reasons = [...hard, ...soft, ...unknown];
  if (!choice.isolated) reasons.push({ code: 'one_thread' });
  return {
    verdict,
    reasons,
    limits,
    device,
    dtype,
    ...figures,
    confidence: speed === 'measured' ? 'high' : guess,
    basis: speed,
  };
}

/**
 * @param {Basis} basis
 * @param {ReturnType<typeof predict>} figures
 * @returns {Verdict['basis']}
 */
function speedBasis({ surrogate }, { seconds: { first_token } }) {
  if (first_token === null) return 'nothing';
  if (first_token.kind === 'measured') return 'measured';
  if (surrogate !== null) return 'surrogate';
  return 'probe';
}

/**
 * @param {import('./catalog_types.js').Model} model @param {string} device @param {string} dtype
 * @returns {import('./catalog_types.js').Sizes}
 */
function sizesOf(model, device, dtype) {
  const sizes = model.devices[device]?.sizes[dtype];
  if (sizes === undefined) throw new Error(`${model.id} has no sizes of ${dtype} on ${device}`);
  return sizes;
}

/**
 * @param {import('./limits.js').Limits} limits
 * @param {string} device
 * @param {import('./catalog_types.js').Sizes} sizes
 * @returns {Reason[]} each of which alone makes it impossible
 */
export function hardLimits(limits, device, sizes) {
  /** @type {Reason[]} */
  const reasons = [];
  if (!limits.secure) reasons.push({ code: 'insecure_context' });
  if (!limits.simd) reasons.push({ code: 'no_simd' });
  if (device === 'webgpu') {
    const buffer = limits.gpu_buffer ?? 0;
    if (sizes.largest_tensor_bytes > buffer) {
      reasons.push({ code: 'gpu_buffer', limit: buffer, needed: sizes.largest_tensor_bytes });
    }
    return reasons;
  }
  const needed = sizes.memory_bytes - PYTHON_HEAP;
  if (needed > limits.wasm_memory) {
    reasons.push({ code: 'wasm_memory', limit: limits.wasm_memory, needed });
  }
  return reasons;
}

/**
 * @param {Basis} basis
 * @param {import('./catalog_types.js').Sizes} sizes
 * @param {ReturnType<typeof predict>} figures
 * @returns {Reason[]} what may make it fail, or a nuisance
 */
function softLimits({ limits, plan }, sizes, figures) {
  /** @type {Reason[]} */
  const reasons = [];
  const needed = sizes.loading_bytes + ENGINE_BYTES;
  // The system, and everything else that is open, wants its half.
  if (limits.device_memory !== null && needed > limits.device_memory / 2) {
    reasons.push({ code: 'device_memory', limit: limits.device_memory, needed });
  }
  const missing = plan.model - plan.stored;
  if (limits.quota !== null && missing > limits.quota) {
    reasons.push({ code: 'quota', limit: limits.quota, needed: missing });
  }
  const rate = figures.tokens_per_second?.value;
  if (rate !== undefined && rate < SLOW) reasons.push({ code: 'slow', limit: SLOW, needed: rate });
  return reasons;
}

/** No browser that runs at all has less than this for a page. */
const ALWAYS_THERE = 1e9;

/**
 * @param {Basis} basis
 * @param {import('./catalog_types.js').Sizes} sizes
 * @param {ReturnType<typeof predict>} figures
 * @returns {Reason[]}
 */
function unknowns({ limits, network, plan }, sizes, figures) {
  /** @type {Reason[]} */
  const reasons = [];
  if (limits.device_memory === null && sizes.loading_bytes + ENGINE_BYTES > ALWAYS_THERE) {
    reasons.push({ code: 'memory_unknown', needed: sizes.loading_bytes + ENGINE_BYTES });
  }
  if (figures.seconds.first_token === null) {
    reasons.push({ code: 'speed_unknown' });
  }
  if (network === null && plan.total > plan.stored) reasons.push({ code: 'network_unknown' });
  return reasons;
}
