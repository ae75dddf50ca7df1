// Messages in, messages out: everything else is Python's (pesoleve_worker) or a host's.

import { VERSION } from '../js/protocol.js';
import { watchMemory } from './memory.js';
import { OrtHost } from './ort_host.js';
import { bootPython } from './pyodide_runtime.js';
import { fetchedFiles, watchFetches } from './resource_progress.js';
import { madeUpWeights, openSurrogate } from './surrogate_host.js';

/**
 * @typedef {import('../js/protocol.js').FromWorker} FromWorker
 * @typedef {import('../js/protocol.js').ToWorker} ToWorker
 * @typedef {import('../js/protocol.js').ErrorReport} ErrorReport
 */

const runtimeBytes = watchMemory();
/** @type {{host: OrtHost, python: import('./pyodide_runtime.js').Python} | null} */
let booted = null;

/** @param {FromWorker} message @param {Transferable[]} [transfer] */
function post(message, transfer = []) {
  self.postMessage(message, { transfer });
}

/** @param {unknown} error @param {ErrorReport['code']} code @param {string} phase @returns {ErrorReport} */
function describe(error, code, phase) {
  const known = error instanceof Error ? error : new Error(String(error));
  return {
    code,
    message: known.message,
    phase,
    retryable: false,
    traceback: known.stack ?? '',
  };
}

/** @param {Extract<ToWorker, {type: 'init'}>} message */
async function init({ id, payload }) {
  const stop = watchFetches((progress) => post({ v: VERSION, id, type: 'progress', progress }));
  try {
    const [host, python] = await Promise.all([
      OrtHost.start(payload.build, payload.threads),
      bootPython(),
    ]);
    python.attach(host);
    booted = { host, python };
    const seconds = {
      runtime: host.startSeconds,
      python: python.startSeconds,
      python_after_bytes: python.afterBytesSeconds,
    };
    post({ v: VERSION, id, type: 'result', value: { seconds } });
  } finally {
    stop();
  }
}

const REHEARSALS = 5;
const SENTENCE = Array.from({ length: 16 }, (_, i) => i + 5);

/** @param {Extract<ToWorker, {type: 'rehearse'}>} message */
async function rehearse({ id, payload: { graph, weightBytes, config } }) {
  if (booted === null) throw new Error("'rehearse' came before 'init' was answered");
  const begun = performance.now();
  const how = { device: 'wasm', layout: 'file', config, kvShape: null };
  const weights = madeUpWeights(weightBytes);
  const runner = await openSurrogate(booted.host, how, 0, graph, weights);
  try {
    for (let i = 0; i < REHEARSALS; i++) await runner.read(SENTENCE);
  } finally {
    await runner.release();
  }
  const value = { seconds: (performance.now() - begun) / 1000 };
  post({ v: VERSION, id, type: 'result', value });
}

/** @param {Exclude<ToWorker, {type: 'init' | 'rehearse' | 'cancel'}>} message */
async function ask(message) {
  const { id, type } = message;
  if (booted === null) throw new Error(`'${type}' came before 'init' was answered`);
  const { host, python } = booted;
  const report = (/** @type {import('../js/protocol.js').Progress} */ progress) =>
    post({ v: VERSION, id, type: 'progress', progress });
  const stages = host.watchStages(report);
  const answer = await python.call(type, id, message.payload, {
    onStage: stages.begin,
    onToken: (
      /** @type {string} */ text,
      /** @type {number[]} */ token_ids,
      /** @type {number[]} */ log_probabilities,
    ) => post({ v: VERSION, id, type: 'token', text, token_ids, log_probabilities }),
    onPrefill: (/** @type {number} */ loaded, /** @type {number} */ total) =>
      report({ phase: 'prefill', file: '', loaded, total }),
  });
  stages.end();
  if (answer.error !== undefined) {
    post({ v: VERSION, id, type: 'error', error: answer.error });
    return;
  }
  const value = /** @type {any} */ (answer.ok ?? {});
  if (type === 'load') {
    Object.assign(value, {
      seconds: stages.seconds,
      fetched: fetchedFiles(),
      memory: { python: python.heapBytes(), runtime: runtimeBytes() },
    });
  }
  const vectors = /** @type {Float32Array<ArrayBuffer>[]} */ (value.vectors ?? []);
  post({ v: VERSION, id, type: 'result', value }, [...new Set(vectors.map((v) => v.buffer))]);
}

self.addEventListener('message', async (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  const { id, type } = data;
  try {
    if (data.v !== VERSION) throw new Error(`the page speaks version ${data.v}, not ${VERSION}`);
    if (type === 'cancel') booted?.python.cancel(id);
    else if (type === 'init') await init(data);
    else if (type === 'rehearse') await rehearse(data);
    else await ask(data);
  } catch (error) {
    const code = type === 'init' ? 'runtime_failed' : 'protocol_error';
    post({ v: VERSION, id, type: 'error', error: describe(error, code, type) });
  }
});

self.addEventListener('unhandledrejection', ({ reason }) => {
  const code = booted === null ? 'runtime_failed' : 'worker_died';
  post({ v: VERSION, type: 'fatal', error: describe(reason, code, 'worker') });
});

post({ v: VERSION, type: 'ready' });
