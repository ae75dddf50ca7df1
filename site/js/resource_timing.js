// What a request cost, from the browser's own resource timing: nothing is intercepted, so that the browser
// still streams and caches compiled WebAssembly.

/** What the standard adds to a body that crossed the network, in place of its headers. */
const HEADERS = 300;

/**
 * Everything that this page or worker requested and has been answered, in order.
 *
 * `encodedBodySize` is the size on the wire wherever the browser got the body from its own cache. From a
 * service worker it is the decoded size, unless that worker tells the rest as this site's does.
 *
 * @returns {import('./protocol.js').FetchedFile[]}
 */
export function fetchedFiles() {
  const entries = /** @type {PerformanceResourceTiming[]} */ ([
    ...performance.getEntriesByType('navigation'), // a worker has none
    ...performance.getEntriesByType('resource'),
  ]);
  return entries
    .filter(({ name }) => name.startsWith('http'))
    .map((entry) => ({
      url: entry.name,
      from: origin(entry),
      bytes: bodyBytes(entry),
      wireBytes: wireBytes(entry),
      decodedBytes: told(entry, 'decoded') ?? entry.decodedBodySize,
      start: (performance.timeOrigin + entry.startTime) / 1000,
      // A worker's own script may report that it ended before it started; a page ends when all it shows is here.
      seconds: Math.max(0, entry.responseEnd - entry.startTime) / 1000,
    }));
}

/**
 * @param {PerformanceResourceTiming} entry
 * @returns {import('./protocol.js').FetchedFile['from']}
 */
function origin(entry) {
  if (bodyBytes(entry) > 0) return 'network';
  return entry.workerStart > 0 && entry.transferSize === 0 ? 'service_worker' : 'disk';
}

/** What a body costs on the wire for a visitor who has nothing yet. @param {PerformanceResourceTiming} entry */
export function wireBytes(entry) {
  return told(entry, 'body') ?? entry.encodedBodySize;
}

/** What a body cost on the wire now: nothing when a cache had it, or was told that it still has by a 304.
 * @param {PerformanceResourceTiming} entry */
function bodyBytes(entry) {
  const { transferSize, encodedBodySize } = entry;
  return told(entry, 'wire') ?? (transferSize >= encodedBodySize + HEADERS ? encodedBodySize : 0);
}

/**
 * What site/service_worker.js says of a response that it made, of which the browser knows no more.
 *
 * @param {PerformanceResourceTiming} entry
 * @param {'body' | 'wire' | 'decoded'} name
 */
function told({ workerStart, transferSize, serverTiming }, name) {
  if (workerStart === 0 || transferSize > 0) return undefined;
  return serverTiming.find((timing) => timing.name === name)?.duration;
}
