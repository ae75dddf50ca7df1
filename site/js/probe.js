// How fast this device multiplies: measured once, on as many threads as a model would have, in under half a second,
// and where there is a GPU, a fifth of a second there; and kept.

import { threadCount } from './device.js';
import { aborted } from './errors.js';
import { keep, readKept } from './kept.js';

/**
 * @typedef {import('../worker/probe_worker.js').Rates} Rates
 * @typedef {import('../worker/probe_gpu_worker.js').GpuRates} GpuRates
 * @typedef {Rates & {threads: number}} Probe  the rates of all threads together
 */

const WORKER = new URL('../worker/probe_worker.js', import.meta.url);
const GPU_WORKER = new URL('../worker/probe_gpu_worker.js', import.meta.url);
const KERNELS = new URL('../vendor/probe/probe.wasm', import.meta.url);
const VERSION = 6;

/** With starting and the warm-up it is under half a second. Where these take longer, what is measured takes less. */
const MEASURED_MS = 200;
const UNTIL_MS = 420;
const FEWEST_ROUNDS = 3;

/** Of all threads together, where there is memory to spare: more than a cache holds, which may be tens of megabytes
 * and reads three times as fast as memory. */
const ROOMY = 128 * 2 ** 20;
/** Of all threads together, where there is memory but no time to write more. */
const FEWEST = ROOMY / 8;
/** Of a thread, on a phone, or where little memory is told of: it is not made to find out. */
const SMALL = 6 * 2 ** 20;
const ON_GPU = 24 * 2 ** 20;

/** A probe that takes longer is given up: a prediction is not worth a frozen device. */
const PATIENCE_MS = 5000;

/** @type {Promise<Probe | null> | null} */
let probing = null;
/** @type {Promise<GpuRates | null> | null} */
let probingGpu = null;

/** @returns {Promise<Probe | null>} null where it cannot be measured; later calls get the same */
export function probe() {
  probing ??= once(`${threadCount()}`, measure);
  return probing;
}

/**
 * @param {string} adapter what the GPU calls itself
 * @returns {Promise<GpuRates | null>} null where it cannot be measured; later calls get the same
 */
export function probeGpu(adapter) {
  // The GPU's driver wants a thread of its own, and the CPU's probe has them all.
  probingGpu ??= once(`gpu.${adapter}`, () => probe().then(measureGpu));
  return probingGpu;
}

function roomy() {
  const { deviceMemory, userAgentData } = /** @type {any} */ (navigator);
  return deviceMemory >= 4 && !userAgentData?.mobile;
}

/**
 * What an earlier visit measured, in this version of the browser, or what is measured now.
 *
 * @template T
 * @param {string} of
 * @param {() => Promise<T>} work
 * @returns {Promise<T | null>} null, and why in the console, where it does not work: no WebAssembly SIMD, no
 *   patience, no kernels where they were published
 */
async function once(of, work) {
  const key = `pesoleve.probe.${VERSION}.${of}`;
  const found = /** @type {{agent?: string, rates?: T} | null} */ (readKept(key));
  if (found?.agent === navigator.userAgent && found.rates) return found.rates;
  const start = performance.now();
  try {
    const rates = await work();
    performance.measure(key, { start });
    keep(key, { agent: navigator.userAgent, rates });
    return rates;
  } catch (error) {
    console.info('Peso Leve: the speed of this device was not measured:', error);
    return null;
  }
}

/** @returns {Promise<GpuRates>} */
async function measureGpu() {
  const worker = new Worker(GPU_WORKER, { type: 'module' });
  try {
    const giveUp = AbortSignal.timeout(PATIENCE_MS);
    const found = await answer(worker, { bytes: roomy() ? ON_GPU : SMALL }, giveUp);
    return /** @type {GpuRates} */ (found);
  } finally {
    worker.terminate();
  }
}

/** @returns {Promise<Probe>} */
async function measure() {
  const threads = threadCount();
  const until = performance.now() + UNTIL_MS;
  /** @type {Worker[]} */
  const workers = [];
  const giveUp = AbortSignal.timeout(PATIENCE_MS);
  try {
    for (let i = 0; i < threads; i++) workers.push(new Worker(WORKER, { type: 'module' }));
    const ask = (/** @type {object} */ question) =>
      Promise.all(workers.map((worker) => answer(worker, question, giveUp)));
    const module = await WebAssembly.compileStreaming(fetch(KERNELS, { signal: giveUp }));
    const ofThread = (/** @type {number} */ bytes) =>
      Math.max(SMALL, roomy() ? bytes / threads : 0);
    const memory = { fewestBytes: ofThread(FEWEST), mostBytes: ofThread(ROOMY) };
    const shares = /** @type {number[]} */ (await ask({ module, ...memory }));
    const share = Math.min(...shares);
    return { ...(await inTurns((rate) => ask({ rate, share }), until)), threads };
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

/**
 * Each rate in its turn, several times over: a machine that others use too, or that is hot, is slower for a while, and
 * what befalls it then befalls them all. The mean, since that is what a model gets: the best of several is what a CPU
 * does in a burst.
 *
 * @param {(rate: keyof Rates) => Promise<unknown[]>} ask all threads together
 * @param {number} until when it is enough, if it is not before
 * @returns {Promise<Rates>} of all of them
 */
async function inTurns(ask, until) {
  /** @type {Record<keyof Rates, {amount: number, seconds: number}[]>} a sum for each thread */
  const sums = { compute: [], float32: [], int8: [] };
  const end = Math.min(performance.now() + MEASURED_MS, until);
  for (let round = 0; round < FEWEST_ROUNDS || performance.now() < end; round++) {
    for (const rate of /** @type {(keyof Rates)[]} */ (Object.keys(sums))) {
      const found = /** @type {{amount: number, seconds: number}[]} */ (await ask(rate));
      sums[rate] = found.map(({ amount, seconds }, thread) => ({
        amount: amount + (sums[rate][thread]?.amount ?? 0),
        seconds: seconds + (sums[rate][thread]?.seconds ?? 0),
      }));
    }
  }
  const together = (/** @type {keyof Rates} */ rate) =>
    sums[rate].reduce((all, { amount, seconds }) => all + amount / seconds, 0);
  const rates = {
    compute: together('compute'),
    float32: together('float32'),
    int8: together('int8'),
  };
  if (Object.values(rates).every(Number.isFinite)) return rates;
  throw new Error('this clock is too coarse'); // some browsers blunt it, to a tenth of a second
}

/** @param {Worker} worker @param {object} question @param {AbortSignal} giveUp @returns {Promise<unknown>} */
function answer(worker, question, giveUp) {
  return new Promise((resolve, reject) => {
    giveUp.addEventListener('abort', () => reject(aborted()));
    if (giveUp.aborted) reject(aborted());
    worker.onmessage = ({ data }) =>
      data.error === undefined ? resolve(data) : reject(new Error(data.error));
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage(question);
  });
}
