// Which runtime files have arrived, from the browser's own resource timing: nothing is intercepted, so
// the browser still streams and caches compiled WebAssembly.

/** @typedef {import('../js/protocol.js').Phase} Phase */

/** @type {Record<string, Phase>} */
const PHASES = {
  pyodide: 'python',
  onnxruntime: 'runtime',
  tokenizers: 'runtime',
  jinja: 'runtime',
  zstd: 'runtime',
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
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const phase = phaseOf(entry.name);
      if (phase === undefined) continue;
      const { encodedBodySize } = /** @type {PerformanceResourceTiming} */ (entry);
      const file = entry.name.split('/').pop() ?? '';
      report({ phase, file, loaded: encodedBodySize, total: 0 });
    }
  });
  observer.observe({ type: 'resource', buffered: true });
  return () => observer.disconnect();
}

/** @returns {import('../js/protocol.js').FetchedFile[]} what this worker fetched, in order */
export function fetchedFiles() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (
    performance.getEntriesByType('resource')
  );
  return entries.map((entry) => ({
    url: entry.name,
    bytes: wireBytes(entry),
    decodedBytes: entry.decodedBodySize,
    start: entry.startTime / 1000,
    seconds: Math.max(0, entry.duration) / 1000, // a thread's own script reports a negative one
  }));
}

/** What a file's body cost on the wire: nothing when the browser's cache had it, or was told so by a 304.
 * @param {PerformanceResourceTiming} entry */
export function wireBytes({ transferSize, encodedBodySize }) {
  return transferSize > encodedBodySize ? encodedBodySize : 0;
}
