// Every file that this page and its workers fetched, and what each cost: as rows, sums, CSV and HAR.

import { fetchedFiles } from './resource_timing.js';

/**
 * @typedef {import('./protocol.js').FetchedFile} FetchedFile
 * @typedef {FetchedFile & {role: string}} Fetched  one request; `start` in seconds on the page's clock
 * @typedef {Pick<Fetched, 'from' | 'bytes' | 'start' | 'seconds'>} Request
 * @typedef {object} Row  a file, however often it was asked for
 * @property {string} role page, runtime, python, tokenizer, ngrams, graph or weights
 * @property {string} path below the page's folder
 * @property {string} url
 * @property {FetchedFile['from']} from where it came, if only once, from the network
 * @property {number} bytes that crossed the network in this visit
 * @property {number} wireBytes what it costs a visitor who has nothing yet
 * @property {number} decodedBytes
 * @property {number} start of the request that brought it
 * @property {number} seconds that this one took
 * @property {Request[]} requests in order
 *
 * @typedef {typeof GROUPS[number]} Group
 * @typedef {{files: number, requests: number, cold: number, now: number, decoded: number}} Sum
 */

export const GROUPS = /** @type {const} */ (['page', 'runtime', 'python', 'tokenizer', 'weights']);

/** The runtime's folders below vendor/; what else is there is the page's own. @type {Record<string, Group>} */
const VENDORED = {
  pyodide: 'python',
  onnxruntime: 'runtime',
  tokenizers: 'runtime',
  jinja: 'runtime',
  zstd: 'runtime',
  hash: 'runtime',
};

/** Chromium forgets requests after 250 unless it is told otherwise; a page of many loads makes more. */
const MOST_REQUESTS = 10_000;

/** Keep the timing of every request of this page, from now on. */
export function keepEveryRequest() {
  performance.setResourceTimingBufferSize(MOST_REQUESTS);
}

/**
 * @param {Fetched[][]} loads what models' workers fetched: `stats.files` of each load
 * @returns {Row[]} with what the page itself fetched, by the time they began
 */
export function collect(loads) {
  const origin = performance.timeOrigin / 1000;
  const told = loads.flat();
  const own = fetchedFiles()
    .map((file) => ({ ...file, role: roleOf(file.url), start: file.start - origin }))
    // A load may tell of what the page fetched for it: from before the request until it was verified.
    .filter(
      ({ url, start }) =>
        !told.some((f) => f.url === url && f.start <= start && start <= f.start + f.seconds),
    );
  return merge([...own, ...told], new URL('.', document.baseURI).href);
}

/**
 * @param {Fetched[]} fetched in any order; the same request told twice counts once
 * @param {string} base the page's folder
 * @returns {Row[]}
 */
export function merge(fetched, base) {
  /** @type {Map<string, Fetched[]>} */
  const files = new Map();
  for (const one of fetched) {
    const url = one.url.replace(/#.*$/, '');
    const known = files.get(url) ?? [];
    if (!known.some(({ start }) => start === one.start)) files.set(url, [...known, one]);
  }
  return [...files].map(([url, all]) => row(url, all, base)).sort((a, b) => a.start - b.start);
}

/** @param {string} url @param {Fetched[]} all of its requests @param {string} base @returns {Row} */
function row(url, all, base) {
  const inOrder = all.toSorted((a, b) => a.start - b.start);
  const brought = inOrder.find(({ bytes }) => bytes > 0) ?? /** @type {Fetched} */ (inOrder[0]);
  const path = (url.startsWith(base) ? url.slice(base.length) : url).replace(/\?.*$/, '');
  return {
    role: brought.role,
    path: path === '' ? 'index.html' : path,
    url,
    from: brought.from,
    bytes: sum(all, 'bytes'),
    wireBytes: Math.max(...all.map(({ wireBytes }) => wireBytes)),
    decodedBytes: Math.max(...all.map(({ decodedBytes }) => decodedBytes)),
    start: brought.start,
    seconds: brought.seconds,
    requests: inOrder.map(({ from, bytes, start, seconds }) => ({ from, bytes, start, seconds })),
  };
}

/** @param {string} role @returns {Group} what is neither tokenizer nor weights of a model counts as these */
export function groupOf(role) {
  return role === 'graph' || role === 'ngrams'
    ? 'weights'
    : (GROUPS.find((group) => group === role) ?? 'page');
}

/** @param {string} url of something that the page itself fetched @returns {Group} */
function roleOf(url) {
  const folder = /\/vendor\/([^/]+)\//.exec(new URL(url).pathname)?.[1] ?? '';
  return VENDORED[folder] ?? 'page';
}

/** @param {Row[]} rows @returns {Record<Group | 'total', Sum>} bytes: `cold`, in this visit, and decoded */
export function totals(rows) {
  const of = (/** @type {Row[]} */ some) => ({
    files: some.length,
    requests: some.reduce((count, { requests }) => count + requests.length, 0),
    cold: sum(some, 'wireBytes'),
    now: sum(some, 'bytes'),
    decoded: sum(some, 'decodedBytes'),
  });
  const groups = GROUPS.map((group) => [group, of(rows.filter((r) => groupOf(r.role) === group))]);
  return { ...Object.fromEntries(groups), total: of(rows) };
}

/**
 * @template {string} K
 * @param {Record<K, number>[]} rows @param {K} key
 */
function sum(rows, key) {
  return rows.reduce((total, one) => total + one[key], 0);
}
