// What was predicted on this device and what was measured: kept here, shown, and sent nowhere.

import { forget, keep, readKept } from './kept.js';

/**
 * @typedef {'bytes' | 'download' | 'load' | 'first_token' | 'tokens_per_second' | 'memory'} FigureName
 * @typedef {Partial<Record<FigureName, number>>} Figures
 * @typedef {object} Pair
 * @property {string} at when the load ended, ISO 8601
 * @property {string} id @property {string} dtype @property {string} device @property {number} threads
 * @property {number} network_bytes of the load's bytes, those that came over the network
 * @property {Record<string, import('./verdict.js').Figure | null>} predicted
 * @property {Figures} measured
 */

const KEY = 'pesoleve.pairs.1';
const MOST = 50;
/** Runs that tell what one takes: the first ones are those of a browser that still compiles. */
const LATELY = 41;

/** @returns {Pair[]} oldest first */
export function pairs() {
  const kept = readKept(KEY);
  return Array.isArray(kept) ? kept : [];
}

/**
 * What a model's statistics measured of what `weigh` predicts.
 *
 * @param {import('./pesoleve.js').Stats} stats
 * @returns {Figures}
 */
export function measuredFigures(stats) {
  const answer = stats.generations[0];
  /** @type {Figures} */
  const figures = {
    bytes: stats.bytes.total,
    load: stats.seconds.total ?? 0,
    memory: stats.memory.loading,
  };
  if (networkBytes(stats) > 0) figures.download = stats.seconds.download ?? 0;
  if (answer !== undefined) {
    figures.first_token = answer.seconds.first_token;
    if (answer.generated_tokens > 1 && answer.seconds.decode > 0) {
      figures.tokens_per_second = (answer.generated_tokens - 1) / answer.seconds.decode;
    }
  } else if (stats.runs.length > 0) {
    // A sentence takes milliseconds, which are those of whatever else the device does just then.
    const lately = stats.runs.slice(-LATELY);
    figures.first_token = median(lately.map(({ inputs, seconds }) => seconds / inputs));
  }
  return figures;
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (Number(sorted[Math.floor(middle)]) + Number(sorted[Math.ceil(middle)])) / 2;
}

/** @param {import('./pesoleve.js').Stats} stats */
function networkBytes(stats) {
  return stats.files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Keep a prediction beside what came of it; called again for the same load, it replaces what was kept.
 *
 * @param {import('./verdict.js').Verdict} verdict
 * @param {import('./pesoleve.js').Stats} stats
 * @param {string} at the load's own time
 */
export function keepPair(verdict, stats, at) {
  /** @type {Pair} */
  const pair = {
    at,
    id: stats.id,
    dtype: stats.dtype,
    device: stats.device,
    threads: stats.threads,
    network_bytes: networkBytes(stats),
    predicted: {
      ...verdict.seconds,
      bytes: verdict.bytes,
      tokens_per_second: verdict.tokens_per_second,
      memory: verdict.memory,
    },
    measured: measuredFigures(stats),
  };
  const kept = pairs().filter((known) => known.at !== at);
  keep(KEY, [...kept, pair].slice(-MOST));
}

export function forgetPairs() {
  forget(KEY);
}
