// How fast a model would run here: its own graph, cut to its first layers, with weights that are made up.

import { VERSION } from '../js/protocol.js';
import { Decompression } from './decompress.js';
import { sha256Of } from './hash.js';
import { OrtHost } from './ort_host.js';
import { madeUpWeights, openSurrogate } from './surrogate_host.js';

/**
 * @typedef {import('../js/surrogate.js').Question} Question
 * @typedef {{first: number, token: number | null}} Times  seconds: of the prompt, and of a token after it
 */

const PROMPTS = 12;
const TOKENS = 24;
/** What a model that reads takes is what it takes when the browser has compiled; one that writes gets no such time. */
const WARM_UP = { sentences: 120, prompts: 5, tokens: 24 };
const SETTLE_MS = 100;

/** Seconds, of each graph: what is slower than this is told of after one run. */
const PATIENCE = 1;
/** Seconds, of each graph: a browser that sees these kernels for the first time compiles for two or three in all, or as
 * much longer as this device is slower. */
const COMPILING = { least: 1.5, patience: 4 };

/** @param {import('../js/surrogate.js').Graph} graph @returns {Promise<Uint8Array>} verified */
async function fetchGraph({ url, file }) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${file.path} answered ${response.status}`);
  const wire = new Uint8Array(await response.arrayBuffer());
  if ((await sha256Of(wire)) !== file.sha256) {
    throw new Error(`${file.path} does not have the sha256 of the catalog`);
  }
  const graph = new Uint8Array(file.decoded_bytes);
  const decompression = await Decompression.open(file, graph);
  decompression.write(wire);
  decompression.finish();
  return graph;
}

/** More than a cache holds, of a server too. */
const ELSEWHERE = new Uint8Array(128 * 2 ** 20).fill(1);
const CACHE_LINE = 64;

/** A few layers would stay in the cache from one token to the next; the whole model would not. */
function forgetWeights() {
  let sum = 0;
  for (let at = 0; at < ELSEWHERE.length; at += CACHE_LINE) sum += ELSEWHERE[at] ?? 0;
  return sum;
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/**
 * In turns, so that what befalls the machine befalls each of them.
 *
 * @param {(() => Promise<unknown>)[]} runs
 * @param {number} rounds
 * @param {() => void} before each of them
 * @param {{least: number, patience: number}} seconds of each: for so long at least, and at most
 * @returns {Promise<number[]>} seconds of each, the median
 */
async function inTurns(
  runs,
  rounds,
  before,
  { least, patience } = { least: 0, patience: PATIENCE },
) {
  const values = runs.map(() => /** @type {number[]} */ ([]));
  const goesOn = (/** @type {number} */ round, /** @type {number} */ spent) =>
    (round < rounds || spent < least * runs.length) && spent < patience * runs.length;
  for (let round = 0, spent = 0; goesOn(round, spent); round++) {
    for (const [index, run] of runs.entries()) {
      before();
      const begun = performance.now();
      await run();
      const seconds = (performance.now() - begun) / 1000;
      spent += seconds;
      values[index]?.push(seconds);
    }
  }
  return values.map(median);
}

/** @param {Question} question @returns {Promise<Times[]>} of each graph */
async function time(question) {
  const [host, ...graphs] = await Promise.all([
    OrtHost.start(question.build, question.threads),
    ...question.graphs.map(fetchGraph),
  ]);
  const runners = [];
  for (const [index, { layers, weight_bytes }] of question.graphs.entries()) {
    const graph = /** @type {Uint8Array} */ (graphs[index]);
    const weights = madeUpWeights(weight_bytes);
    runners.push(await openSurrogate(host, question, layers, graph, weights));
  }
  const ids = Array.from({ length: question.tokens }, (_, i) => i + 5);
  const reads = runners.map((runner) => () => runner.read(ids));
  const writes = runners.flatMap(({ write }) => (write === null ? [] : [() => write(7)]));
  // The browser compiles in the background what turns out to be hot.
  if (writes.length === 0) await inTurns(reads, WARM_UP.sentences, () => {}, COMPILING);
  else await inTurns(reads, WARM_UP.prompts, () => {});
  await inTurns(writes, WARM_UP.tokens, () => {});
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const firsts = await inTurns(reads, PROMPTS, forgetWeights);
  const tokens = await inTurns(writes, TOKENS, forgetWeights);
  return firsts.map((first, index) => ({ first, token: tokens[index] ?? null }));
}

/** What Python starts from: every load wants it, nothing is compiled of it, and it is large enough to tell. */
const TELLING = new URL('../vendor/pyodide/python.snapshot', import.meta.url).href;

/** @returns {Promise<number | null>} bytes a second of the connection; null where the file was here already */
async function connectionRate() {
  /** @type {Promise<PerformanceResourceTiming>} */
  const timing = new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      const [found] = list.getEntriesByName(TELLING);
      if (found) resolve(/** @type {PerformanceResourceTiming} */ (found));
    });
    observer.observe({ type: 'resource' });
  });
  await (await fetch(TELLING)).arrayBuffer();
  const entry = await timing; // which is told a little later
  if (entry.transferSize < entry.encodedBodySize) return null;
  return (1000 * entry.encodedBodySize) / (entry.responseEnd - entry.responseStart);
}

/** @param {Question} question */
async function answer(question) {
  return { times: await time(question), rate: await connectionRate() };
}

self.addEventListener('message', async ({ data: { id, type, payload } }) => {
  if (type === 'cancel') return; // whoever lost patience ends the worker
  try {
    self.postMessage({ v: VERSION, id, type: 'result', value: await answer(payload) });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const report = {
      code: 'session_failed',
      message,
      phase: type,
      retryable: false,
      traceback: stack,
    };
    self.postMessage({ v: VERSION, id, type: 'error', error: report });
  }
});

self.postMessage({ v: VERSION, type: 'ready' });
