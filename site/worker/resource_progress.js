// Which runtime files have arrived, as the browser's own resource timing tells it.

import { wireBytes } from '../js/resource_timing.js';

export { fetchedFiles } from '../js/resource_timing.js';

/** @typedef {import('../js/protocol.js').Phase} Phase */

/** @type {Record<string, Phase>} */
const PHASES = {
  pyodide: 'python',
  onnxruntime: 'runtime',
  tokenizers: 'runtime',
  jinja: 'runtime',
  zstd: 'runtime',
  hash: 'runtime',
};

/** @param {string} url @returns {Phase | undefined} */
function phaseOf(url) {
  const folder = /\/vendor\/([^/]+)\//.exec(new URL(url).pathname)?.[1];
  return folder === undefined ? undefined : PHASES[folder];
}

/**
 * Report every runtime file as it arrives. `total` is 0: the page knows what is to come.
 *
 * @param {(progress: import('../js/protocol.js').Progress) => void} report
 * @returns {() => void} stops watching
 */
export function watchFetches(report) {
  const tell = (/** @type {PerformanceEntryList} */ entries) => {
    for (const entry of entries) {
      const phase = phaseOf(entry.name);
      if (phase === undefined) continue;
      const loaded = wireBytes(/** @type {PerformanceResourceTiming} */ (entry));
      const file = entry.name.split('/').pop() ?? '';
      report({ phase, file, loaded, total: 0 });
    }
  };
  const observer = new PerformanceObserver((list) => tell(list.getEntries()));
  observer.observe({ type: 'resource', buffered: true });
  return () => {
    observer.disconnect();
    // What a busy worker has not been told yet: a file that was said twice counts once.
    tell(performance.getEntriesByType('resource'));
  };
}
