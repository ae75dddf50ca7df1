// The calculator's Python: sizes from a configuration, without a runtime or a model.

import { VERSION } from '../js/protocol.js';
import { bootPython } from './pyodide_runtime.js';
import { watchFetches } from './resource_progress.js';

/** @type {Promise<import('./pyodide_runtime.js').Python> | null} */
let booting = null;

self.addEventListener('message', async ({ data }) => {
  const { id, type, payload } = data;
  if (type === 'cancel') return; // an answer takes milliseconds
  const stop = watchFetches((progress) =>
    self.postMessage({ v: VERSION, id, type: 'progress', progress }),
  );
  try {
    booting ??= bootPython();
    const python = await booting;
    const value = type === 'weigh' ? JSON.parse(python.calculate(payload.text)) : {};
    self.postMessage({ v: VERSION, id, type: 'result', value });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const report = {
      code: 'runtime_failed',
      message,
      phase: type,
      retryable: false,
      traceback: stack,
    };
    self.postMessage({ v: VERSION, id, type: 'error', error: report });
  } finally {
    stop();
  }
});

self.postMessage({ v: VERSION, type: 'ready' });
