// How fast this device multiplies: measured once, in a fifth of a second, on as many threads as a model
// would have, and kept.

import { threadCount } from './device.js';
import { aborted } from './errors.js';
import { keep, readKept } from './kept.js';

/**
 * @typedef {import('../worker/probe_worker.js').Rates} Rates
 * @typedef {Rates & {threads: number}} Probe  the rates of all threads together
 */

const WORKER = new URL('../worker/probe_worker.js', import.meta.url);
const KERNELS = new URL('../vendor/probe/probe.wasm', import.meta.url);
const VERSION = 3;

/** More than a cache holds, where there is memory to spare; a phone is not made to find out. */
const ROOMY = 24 * 2 ** 20;
const SMALL = 6 * 2 ** 20;

/** A probe that takes longer is given up: a prediction is not worth a frozen device. */
const PATIENCE_MS = 5000;

/** @type {Promise<Probe | null> | null} */
let probing = null;

/** @returns {Promise<Probe | null>} null where it cannot be measured; later calls get the same */
export function probe() {
  probing ??= kept() ?? measure();
  return probing;
}

const key = () => `pesoleve.probe.${VERSION}.${threadCount()}`;

/** @returns {Promise<Probe> | null} what an earlier visit measured, in this version of the browser */
function kept() {
  const found = /** @type {{agent?: string, rates?: Probe} | null} */ (readKept(key()));
  return found?.agent === navigator.userAgent && found.rates ? Promise.resolve(found.rates) : null;
}

/** @returns {Promise<Probe | null>} */
async function measure() {
  const threads = threadCount();
  const roomy = /** @type {any} */ (navigator).deviceMemory >= 4;
  /** @type {Worker[]} */
  const workers = [];
  const giveUp = AbortSignal.timeout(PATIENCE_MS);
  try {
    for (let i = 0; i < threads; i++) workers.push(new Worker(WORKER, { type: 'module' }));
    const ask = (/** @type {object} */ question) =>
      Promise.all(workers.map((worker) => answer(worker, question, giveUp)));
    const module = await WebAssembly.compileStreaming(fetch(KERNELS));
    await ask({ module, prepare: roomy ? ROOMY : SMALL });
    const found = /** @type {Rates[]} */ (await ask({ measure: true }));
    const sum = (/** @type {keyof Rates} */ rate) => found.reduce((all, one) => all + one[rate], 0);
    const rates = {
      compute: sum('compute'),
      float32: sum('float32'),
      int8: sum('int8'),
      threads,
    };
    keep(key(), { agent: navigator.userAgent, rates });
    return rates;
  } catch (error) {
    // No WebAssembly SIMD, no patience, or no kernels where they were published: `weigh` says that it does
    // not know, and whoever looks finds why.
    console.info('Peso Leve: the speed of this device was not measured:', error);
    return null;
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

/** @param {Worker} worker @param {object} question @param {AbortSignal} giveUp @returns {Promise<unknown>} */
function answer(worker, question, giveUp) {
  return new Promise((resolve, reject) => {
    giveUp.addEventListener('abort', () => reject(aborted()));
    worker.onmessage = ({ data }) =>
      data.error === undefined ? resolve(data) : reject(new Error(data.error));
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage(question);
  });
}
