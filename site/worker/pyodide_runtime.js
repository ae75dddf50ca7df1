// Boot Pyodide from a snapshot of its memory: the worker package, and what it needs of the standard library, are
// imported already.

import { Snapshot } from './python_snapshot.js';

const VENDORED = new URL('../vendor/pyodide/', import.meta.url).href;

/**
 * @typedef {{ok?: unknown, error?: import('../js/protocol.js').ErrorReport}} Answer
 * @typedef {object} Python
 * @property {number} startSeconds
 * @property {number} afterBytesSeconds of those, the ones since its last byte was here
 * @property {() => number} heapBytes
 * @property {(host: object) => void} attach give Python its host; once, before any call
 * @property {(kind: string, id: number, payload: object | null, told: Record<string, Function>) => Promise<Answer>} call
 *   `told` are functions that Python calls while it works
 * @property {(id: number) => void} cancel
 * @property {(text: string) => string} calculate JSON (python_worker/pesoleve_worker/calculator.py)
 */

/** @returns {Promise<Python>} */
export async function bootPython() {
  const begun = performance.now();
  const pyodide = await Promise.race([startPyodide(), instantiationFailure()]);
  const module = pyodide.pyimport('pesoleve_worker.host_pyodide');
  /** @type {any} */
  let worker = null;
  return {
    startSeconds: (performance.now() - begun) / 1000,
    afterBytesSeconds: (performance.now() - lastByte()) / 1000,
    heapBytes: () => /** @type {any} */ (pyodide)._module.HEAPU8.length,
    attach(host) {
      worker = module.create(host);
      module.destroy();
    },
    async call(kind, id, payload, told) {
      return await finish(worker.call(kind, id, payload === null ? null : { ...payload, ...told }));
    },
    cancel(id) {
      worker.cancel(id);
    },
    calculate: (text) => pyodide.pyimport('pesoleve_worker.calculator').weigh(text),
  };
}

async function startPyodide() {
  // Imported when they are needed, so that the worker's own resource timing counts them.
  const code = import('../vendor/pyodide/pyodide.asm.mjs');
  const fetched = Snapshot.fetch(`${VENDORED}python.snapshot`);
  const { loadPyodide } = await import('../vendor/pyodide/pyodide.mjs');
  return await loadPyodide({
    indexURL: VENDORED,
    // Without the memory itself, which Pyodide would copy whole.
    _loadSnapshot: fetched.then(({ header }) => header),
    async createPyodideModule(settings) {
      const [{ default: create }, snapshot] = await Promise.all([code, fetched]);
      let start = new Uint8Array(0);
      const module = await create(
        Object.assign(settings, {
          INITIAL_MEMORY: snapshot.bytes,
          // In place of what would fetch the standard library, and make folders for it.
          preRun: [
            (/** @type {any} */ { HEAPU8 }) => {
              start = HEAPU8.slice(0, snapshot.startBytes);
            },
          ],
        }),
      );
      snapshot.restore(module.HEAPU8, start);
      return module;
    },
    // Nothing that Python prints is for the console of somebody's page.
    stdout: () => {},
    stderr: () => {},
  });
}

/** When the last of Python's files was here, in milliseconds on this worker's clock. */
function lastByte() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (
    performance.getEntriesByType('resource')
  );
  const own = entries.filter(({ name }) => name.startsWith(VENDORED));
  return Math.max(0, ...own.map(({ responseEnd }) => responseEnd));
}

/**
 * Take Python's work from promise to promise (`Promised` and `Work`, python_worker/pesoleve_worker/work.py).
 *
 * @param {any} work
 * @returns {Promise<Answer>}
 */
async function finish(work) {
  try {
    let next = work.resume();
    while (next.promise !== undefined) {
      const settled = await next.promise.then(
        (/** @type {unknown} */ value) => ({ value }),
        (/** @type {unknown} */ error) => ({
          // Python can raise no other.
          error: error instanceof Error ? error : new Error(String(error)),
        }),
      );
      await taskOfItsOwn(); // a run that has only promises between its steps would hear of no cancel
      next = 'error' in settled ? work.fail(settled.error) : work.resume(settled.value);
    }
    return next;
  } finally {
    work.destroy();
  }
}

const { port1: here, port2: there } = new MessageChannel();
here.start();

/** @returns {Promise<unknown>} kept after the messages that are waiting have been heard */
function taskOfItsOwn() {
  return new Promise((resolve) => {
    here.addEventListener('message', resolve, { once: true });
    there.postMessage(null);
  });
}

/**
 * Pyodide 314 only logs that its WebAssembly did not instantiate, and then waits for ever.
 *
 * @returns {Promise<never>} rejects when the file in Pyodide's folder fails; never resolves
 */
function instantiationFailure() {
  return new Promise((_, reject) => {
    const { instantiateStreaming } = WebAssembly;
    WebAssembly.instantiateStreaming = async (source, imports) => {
      try {
        return await instantiateStreaming.call(WebAssembly, source, imports);
      } catch (error) {
        const { url } = await source;
        if (url.startsWith(VENDORED)) reject(new Error(`${url} did not start: ${error}`));
        throw error;
      }
    };
  });
}
