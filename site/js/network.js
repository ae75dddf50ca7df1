// How fast bytes arrive here, from what has arrived already.

import { pairs } from './pairs.js';

/** @typedef {{value: number, low: number, high: number}} Rate  bytes a second */

/** A smaller file tells of latency, not of the connection. */
const TELLING_BYTES = 15_000;

/** What the answer to a request takes beside its bytes' way: the server reads the file, the browser hands it on. */
const BESIDE_MS = 1.9;

/** A load that took less from the network says little of it. */
const TELLING_LOAD = 5_000_000;

/** Who answers sooner is this machine, or one beside it: what a browser tells is of the way to others. */
const NEAR_MS = 5;
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;
/** Bytes a second from there, and how far off that may be: a local network may have no wire. */
const NEAR = { rate: 125e6, times: 20 };

/** Of any load, what goes by before its first byte is asked for: requests go there and back. */
export const ASKING_SECONDS = 0.4;

const MEGABIT = 125_000;
const MOST_TOLD = 10 * MEGABIT;

/** @returns {Rate | null} null where nothing tells */
export function networkRate() {
  const loads = pairs()
    .filter(({ network_bytes, measured }) => network_bytes > TELLING_LOAD && measured.download)
    .map(({ network_bytes, measured }) => {
      const took = Number(measured.download);
      return network_bytes / Math.max(took - ASKING_SECONDS, took / 2);
    });
  const last = loads.at(-1);
  if (last !== undefined) return around(last, 1.6);
  const entries = /** @type {PerformanceResourceTiming[]} */ (
    performance.getEntriesByType('resource')
  );
  const soonest = soonestAnswer(entries);
  const isNear = soonest === Infinity ? LOOPBACK.test(location.hostname) : soonest < NEAR_MS;
  if (isNear) return around(NEAR.rate, NEAR.times);
  const seen = ownFilesRate(entries);
  /** @type {{downlink?: number} | undefined} */
  const connection = /** @type {any} */ (navigator).connection;
  const told = (connection?.downlink ?? 0) * MEGABIT;
  // The browser tells at most so much; and a small file is always slower than the connection.
  const least = Math.max(seen.least, told);
  if (least === 0) return null;
  // Where a file is much faster, what is told is what a browser begins with, before it has seen a connection.
  const isTold = told < MOST_TOLD && seen.least < 2 * told;
  if (isTold) return { value: least, low: least / 2, high: 3 * least };
  // What is faster than the most that is told says so too: where no file does, three times as much is a guess.
  const value = seen.likely > told ? seen.likely : 3 * told;
  return { value, low: least / 2, high: 40 * least };
}

/** @param {number} bytesPerSecond of one large file @returns {Rate} */
export function rateOf(bytesPerSecond) {
  return around(bytesPerSecond, 1.5);
}

/**
 * @param {PerformanceResourceTiming[]} entries
 * @returns {number} milliseconds from a request to its answer; Infinity where no file came over the network
 */
function soonestAnswer(entries) {
  return Math.min(
    ...entries
      // Of a worker's script, its requests and answers are not told; a service worker's answer is not the network's.
      .filter(
        ({ initiatorType, transferSize, workerStart }) =>
          initiatorType !== 'other' && transferSize > 0 && workerStart === 0,
      )
      .map(({ requestStart, responseStart }) => responseStart - requestStart),
  );
}

/**
 * @param {PerformanceResourceTiming[]} entries
 * @returns {{least: number, likely: number}} bytes a second of the fastest of the page's own files; 0 where none tells
 */
function ownFilesRate(entries) {
  const telling = entries.filter((file) => tells(file, entries));
  const fastest = (/** @type {number} */ besideMs) =>
    Math.max(
      0,
      ...telling.map(({ encodedBodySize, responseStart, responseEnd }) => {
        const took = responseEnd - responseStart;
        return (1000 * encodedBodySize) / Math.max(took - besideMs, took / 4, 1);
      }),
    );
  return { least: fastest(0), likely: fastest(BESIDE_MS) };
}

/**
 * Whether a file came over the network, whole (what is only confirmed to be unchanged has the size of what is kept), and
 * alone: the page's styles and fonts, which are asked for all at once, share the connection and are read late.
 *
 * @param {PerformanceResourceTiming} file @param {PerformanceResourceTiming[]} entries
 */
function tells(file, entries) {
  const { initiatorType, encodedBodySize, transferSize, responseStart, responseEnd } = file;
  return (
    initiatorType === 'fetch' &&
    encodedBodySize > TELLING_BYTES &&
    transferSize >= encodedBodySize &&
    entries.every(
      (other) =>
        other === file || other.responseEnd <= responseStart || other.responseStart >= responseEnd,
    )
  );
}

/** @param {number} value @param {number} times @returns {Rate} */
function around(value, times) {
  return { value, low: value / times, high: value * times };
}
