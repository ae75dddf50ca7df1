// ONNX Runtime in a worker of its own, so that it starts, and opens a model, while Python does: the page hands the
// files over (`hold`), and Python's worker asks for the rest over a port.

import { VERSION } from '../js/protocol.js';
import { answerCalls } from './calls.js';
import { Holding } from './holding.js';
import { watchMemory } from './memory.js';
import { OrtHost } from './ort_host.js';
import { fetchedFiles, watchFetches } from './resource_progress.js';
import { madeUpWeights, openSurrogate } from './surrogate_host.js';

/** @typedef {import('../js/protocol.js').ToCompute} ToCompute */

const runtimeBytes = watchMemory();
/** @type {PromiseWithResolvers<OrtHost>} */
const host = Promise.withResolvers();
const holding = new Holding(host.promise);

/** @param {import('../js/protocol.js').FromWorker} message */
function post(message) {
  self.postMessage(message);
}

/** @param {Extract<ToCompute, {type: 'start'}>} message */
async function start({ id, payload: { build, threads, port } }) {
  const stop = watchFetches((progress) => post({ v: VERSION, id, type: 'progress', progress }));
  try {
    answerCalls(port, {
      open: (device) => holding.open(device),
      run: (model, feeds) => holding.run(model, feeds),
      feed: (model, ids, topK, keep) => holding.decoder(model).feed(ids, topK, keep),
      truncate: (model, length) => holding.decoder(model).truncate(length),
      reserve: (model, tokens) => holding.decoder(model).reserve(tokens),
      release: (model) => holding.release(model),
      told: () => ({ memory: runtimeBytes(), fetched: fetchedFiles() }),
    });
    const started = await OrtHost.start(build, threads);
    host.resolve(started);
    return { seconds: { runtime: started.startSeconds } };
  } finally {
    stop();
  }
}

const REHEARSALS = 5;
const SENTENCE = Array.from({ length: 16 }, (_, i) => i + 5);

/** @param {Extract<ToCompute, {type: 'rehearse'}>['payload']} payload */
async function rehearse({ graph, weightBytes, config }) {
  const begun = performance.now();
  const how = { device: 'wasm', layout: 'file', config, kvShape: null };
  const weights = madeUpWeights(weightBytes);
  const runner = await openSurrogate(await host.promise, how, 0, graph, weights);
  try {
    for (let i = 0; i < REHEARSALS; i++) await runner.read(SENTENCE);
  } finally {
    await runner.release();
  }
  return { seconds: (performance.now() - begun) / 1000 };
}

/** @param {ToCompute} message */
async function answer(message) {
  if (message.type === 'start') return await start(message);
  if (message.type === 'rehearse') return await rehearse(message.payload);
  return holding.take(message.payload);
}

/** @param {unknown} error @param {string} phase @returns {import('../js/protocol.js').ErrorReport} */
function describe(error, phase) {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  return { code: 'runtime_failed', message, phase, retryable: false, traceback: stack };
}

self.addEventListener('message', async (/** @type {MessageEvent<ToCompute>} */ { data }) => {
  const { id, type } = data;
  try {
    post({ v: VERSION, id, type: 'result', value: await answer(data) });
  } catch (error) {
    post({ v: VERSION, id, type: 'error', error: describe(error, type) });
  }
});

self.addEventListener('unhandledrejection', ({ reason }) => {
  post({ v: VERSION, type: 'fatal', error: describe(reason, 'worker') });
});
