// How fast bytes arrive here, from what has arrived already.

import { pairs } from './pairs.js';

/** @typedef {{value: number, low: number, high: number}} Rate  bytes a second */

/** A smaller file tells of latency, not of the connection. */
const TELLING_BYTES = 20_000;

/** A load that took less from the network says little of it. */
const TELLING_LOAD = 1_000_000;

const MEGABIT = 125_000;
const MOST_TOLD = 10 * MEGABIT;

/** @returns {Rate | null} null where nothing tells */
export function networkRate() {
  const loads = pairs()
    .filter(({ network_bytes, measured }) => network_bytes > TELLING_LOAD && measured.download)
    .map(({ network_bytes, measured }) => network_bytes / Number(measured.download));
  const last = loads.at(-1);
  if (last !== undefined) return around(last, 1.6);
  const seen = ownFilesRate();
  /** @type {{downlink?: number} | undefined} */
  const connection = /** @type {any} */ (navigator).connection;
  const told = (connection?.downlink ?? 0) * MEGABIT;
  // The browser tells at most so much; and a small file is always slower than the connection.
  const least = Math.max(seen, told);
  if (least === 0) return null;
  // What is faster than the most that is told says so too: three times as much is a guess in its middle.
  const capped = told === 0 || told >= MOST_TOLD;
  return capped
    ? { value: 3 * least, low: least / 2, high: 40 * least }
    : { value: least, low: least / 2, high: 3 * least };
}

/** @param {number} bytesPerSecond of one large file @returns {Rate} */
export function rateOf(bytesPerSecond) {
  return around(bytesPerSecond, 1.5);
}

/** @returns {number} bytes a second of the fastest of the page's own files; 0 where all were kept already */
function ownFilesRate() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (
    performance.getEntriesByType('resource')
  );
  const rates = entries
    .filter(
      ({ transferSize, encodedBodySize }) => transferSize > 0 && encodedBodySize > TELLING_BYTES,
    )
    .map(
      ({ encodedBodySize, responseStart, responseEnd }) =>
        (encodedBodySize / Math.max(responseEnd - responseStart, 1)) * 1000,
    );
  return Math.max(0, ...rates);
}

/** @param {number} value @param {number} times @returns {Rate} */
function around(value, times) {
  return { value, low: value / times, high: value * times };
}
