// Python's worker. Messages in, messages out: everything else is Python's (pesoleve_worker) or a host's.

import { VERSION } from '../js/protocol.js';
import { bootPython } from './pyodide_runtime.js';
import { PythonHost } from './python_host.js';
import { fetchedFiles, watchFetches } from './resource_progress.js';

/**
 * @typedef {import('../js/protocol.js').FromWorker} FromWorker
 * @typedef {import('../js/protocol.js').ToWorker} ToWorker
 * @typedef {import('../js/protocol.js').ErrorReport} ErrorReport
 */

/** @type {{host: PythonHost, python: import('./pyodide_runtime.js').Python} | null} */
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
    const [host, python] = await Promise.all([PythonHost.start(payload.port), bootPython()]);
    python.attach(host);
    booted = { host, python };
    const { startSeconds, afterBytesSeconds } = python;
    return { seconds: { python: startSeconds, python_after_bytes: afterBytesSeconds } };
  } finally {
    stop(); // which tells what is new, and so comes before the answer
  }
}

/** @param {Exclude<ToWorker, {type: 'init' | 'cancel'}>} message */
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
    const { memory, fetched } = await host.told();
    Object.assign(value, {
      seconds: { ...stages.seconds, session: host.sessionSeconds },
      fetched: [...fetchedFiles(), ...fetched],
      memory: { python: python.heapBytes(), runtime: memory },
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
    else if (type === 'init') post({ v: VERSION, id, type: 'result', value: await init(data) });
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
