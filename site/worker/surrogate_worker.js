// How fast a model would run here: its own graph, cut to two layers, with weights that are made up.

import { VERSION } from '../js/protocol.js';
import { decompress } from './decompress.js';
import { OrtHost } from './ort_host.js';
import { openSurrogate } from './surrogate_host.js';

/**
 * @typedef {import('../js/surrogate.js').Question} Question
 * @typedef {{first: number, token: number | null}} Times  seconds: of the prompt, and of a token after it
 */

/** Every byte the same: small positive numbers in fp32, fp16 and in any integers, and never a NaN. */
const FILL = 0x3c;

const WARM_UPS = 2;
const PROMPTS = 3;
const TOKENS = 16;

/** @param {Question} question @returns {Promise<Uint8Array>} the graph, verified */
async function fetchGraph({ url, file }) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${file.path} answered ${response.status}`);
  const wire = new Uint8Array(await response.arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', wire));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (hex !== file.sha256) throw new Error(`${file.path} does not have the sha256 of the catalog`);
  const graph = new Uint8Array(file.decoded_bytes);
  await decompress(wire, file, graph);
  return graph;
}

/** @param {() => Promise<unknown>} run @returns {Promise<number>} seconds */
async function timed(run) {
  const begun = performance.now();
  await run();
  return (performance.now() - begun) / 1000;
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** @param {Question} question @returns {Promise<Times>} */
async function time(question) {
  const { build, threads, weightBytes, tokens } = question;
  const [host, graph] = await Promise.all([OrtHost.start(build, threads), fetchGraph(question)]);
  const weights = new Uint8Array(weightBytes).fill(FILL);
  const runner = await openSurrogate(host, question, graph, weights);
  const ids = Array.from({ length: tokens }, (_, i) => i + 5);
  for (let i = 0; i < WARM_UPS; i++) await runner.read(ids);
  const prompts = [];
  for (let i = 0; i < PROMPTS; i++) prompts.push(await timed(() => runner.read(ids)));
  const { write } = runner;
  if (write === null) return { first: median(prompts), token: null };
  const written = [];
  for (let i = 0; i < TOKENS; i++) written.push(await timed(() => write(7)));
  return { first: median(prompts), token: median(written) };
}

self.addEventListener('message', async ({ data: { id, type, payload } }) => {
  if (type === 'cancel') return; // whoever lost patience ends the worker
  try {
    self.postMessage({ v: VERSION, id, type: 'result', value: await time(payload) });
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
