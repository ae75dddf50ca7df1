// Keeps the page, its runtimes and its Python for when there is no network, each version of them whole;
// and isolates the page, which threads need, where its host does not. Models have a store of their own.
//
// A version is what vendor/site_files.js lists. The page's own files are kept before a version may serve
// anybody, the runtimes when they are first used; all are checked against the list. A page gets every
// file from the version that it was opened with: a newer one waits until the last such page is closed.

/**
 * @typedef {object} SiteFiles  what export/pesoleve/site_files.py wrote; half of its sha256 by path
 * @property {string} version
 * @property {number} schemaVersion of the catalog that this page reads
 * @property {Record<string, string>} page
 * @property {Record<string, string>} runtime
 * @typedef {{type: 'keep', paths: string[]}} Told  by a page
 * @typedef {{head: Response, body: ArrayBuffer, encoded: number, crossed: number}} Fetched
 *   `encoded` is the body's size on the network, `crossed` how much of it came from there now
 */

const sw = /** @type {ServiceWorkerGlobalScope & {SITE_FILES: SiteFiles}} */ (
  /** @type {unknown} */ (self)
);
sw.importScripts('vendor/site_files.js');

const { version, schemaVersion, page, runtime } = sw.SITE_FILES;
const FILES = new Map([...Object.entries(page), ...Object.entries(runtime)]);
const SCOPE = sw.registration.scope;
const INDEX = 'index.html';
const CATALOG = 'models/catalog.json';

/** Several of these sites may share an origin, and each knows its caches by its scope. */
const CACHES = `pesoleve ${SCOPE} `;
const CACHE = `${CACHES}${version}`;

/** The header by which the next version knows what it need not fetch again. */
const SHA256 = 'X-Pesoleve-Sha256';

/** How long a network that says nothing is waited for, where it is not needed. */
const PATIENCE_MS = 5000;

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Nothing was installed before: the pages that are open now got the files of this very version. */
let isFirst = false;

/** Workers of pages that are not this version's. @type {Set<string>} */
const strangers = new Set();

sw.addEventListener('install', (event) => {
  isFirst = sw.registration.active === null;
  event.waitUntil(install());
});

sw.addEventListener('activate', (event) => event.waitUntil(activate()));

sw.addEventListener('message', (event) => {
  const told = /** @type {Told} */ (event.data);
  if (told.type === 'keep') event.waitUntil(keepUsed(told.paths));
});

sw.addEventListener('fetch', (event) => {
  const { request, clientId } = event;
  const path = pathOf(request);
  // Weights, and whatever else lives below this scope, go their own way untouched.
  if (path === null) return;
  if (strangers.has(clientId)) estrange(event);
  else event.respondWith(path === CATALOG ? answerCatalog(event) : answer(event, path));
});

/** @param {Request} request @returns {string | null} of a file that is kept */
function pathOf({ method, mode, url }) {
  if (method !== 'GET' || !url.startsWith(SCOPE)) return null;
  // A page's query is for its scripts; no other file has one.
  const address = url.replace(mode === 'navigate' ? /[?#].*/ : /#.*/, '');
  const path = address.slice(SCOPE.length) || INDEX;
  return FILES.has(path) || path === CATALOG ? path : null;
}

/** @param {string} path @returns {string} as visitors ask for it, so that one copy serves */
function urlOf(path) {
  return SCOPE + (path === INDEX ? '' : path);
}

async function install() {
  await Promise.all([
    ...Object.keys(page).map(async (path) => {
      if (!(await inherit(path))) await keep(path, await fetchVerified(path));
    }),
    ...Object.keys(runtime).map(inherit),
    (async () => await keepCatalog(await fetchFile(urlOf(CATALOG))))(),
  ]);
  performance.clearResourceTimings(); // a browser stops noting them when they are many
}

async function activate() {
  if (isFirst) await sw.clients.claim();
  for (const name of await caches.keys()) {
    if (name.startsWith(CACHES) && name !== CACHE) await caches.delete(name);
  }
}

/** @param {string} path @returns {Promise<boolean>} whether this version has it, maybe from an earlier one */
async function inherit(path) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(CACHES)) continue;
    const kept = await (await caches.open(name)).match(urlOf(path));
    if (kept === undefined || kept.headers.get(SHA256) !== FILES.get(path)) continue;
    if (name !== CACHE) await (await caches.open(CACHE)).put(urlOf(path), kept);
    return true;
  }
  return false;
}

/** @param {string[]} paths what a page used, maybe before this worker saw its requests */
async function keepUsed(paths) {
  for (const path of paths) {
    const isMissing = Object.hasOwn(runtime, path) && !(await inherit(path));
    if (isMissing) await keep(path, await fetchVerified(path));
  }
}

/** @param {string} path @param {Fetched} fetched */
async function keep(path, fetched) {
  const cache = await caches.open(CACHE);
  await cache.put(urlOf(path), respond(fetched, 0, { [SHA256]: FILES.get(path) ?? '' }));
}

/**
 * @param {string} path
 * @returns {Promise<Fetched>}
 * @throws {Mismatch} when the server has none that is this version's
 * @throws {TypeError} without a network
 */
async function fetchVerified(path) {
  // What the browser's own cache still has may be older than this version.
  for (const cache of /** @type {const} */ (['default', 'reload'])) {
    const fetched = await fetchFile(urlOf(path), { cache });
    if (fetched.head.ok && (await hash(fetched.body)) === FILES.get(path)) return fetched;
  }
  throw new Mismatch(`${urlOf(path)} is not there as version ${version} has it`);
}

/** Damaged, or of another version. */
class Mismatch extends Error {}

/** @param {string | Request} request @param {RequestInit} [options] @returns {Promise<Fetched>} */
async function fetchFile(request, options) {
  const begun = performance.now();
  const head = await fetch(request, options);
  const body = await head.arrayBuffer();
  const timings = performance.getEntriesByName(head.url).filter((t) => t.startTime >= begun);
  const timing = /** @type {PerformanceResourceTiming | undefined} */ (timings.at(-1));
  const encoded = timing?.encodedBodySize ?? body.byteLength;
  return { head, body, encoded, crossed: timing && timing.transferSize > encoded ? encoded : 0 };
}

/** @param {BufferSource} body @returns {Promise<string>} the first half of its sha256 */
async function hash(body) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body), 0, 16);
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * An isolated response, which tells js/resource_timing.js what a browser does not tell of one that a
 * service worker made: the body's size on the wire, and how much of it crossed the wire this time.
 *
 * @param {Fetched} fetched
 * @param {number} crossed
 * @param {Record<string, string>} [more]
 */
function respond({ head, body, encoded }, crossed, more = {}) {
  const headers = new Headers(head.headers);
  headers.delete('Vary'); // the body is decoded, the same for everybody
  const timing = { 'Server-Timing': `body;dur=${encoded}, wire;dur=${crossed}` };
  for (const [name, value] of Object.entries({ ...ISOLATION, ...timing, ...more })) {
    headers.set(name, value);
  }
  return new Response(body, { status: head.status, statusText: head.statusText, headers });
}

/** @param {FetchEvent} event @param {string} path @returns {Promise<Response>} */
async function answer(event, path) {
  const { request } = event;
  if (request.destination === 'worker' && (await isStranger(event.clientId))) {
    estrange(event);
    return await fetch(request);
  }
  const kept = await (await caches.open(CACHE)).match(urlOf(path));
  if (kept !== undefined) return kept;
  try {
    const fetched = await fetchVerified(path);
    event.waitUntil(keep(path, fetched)); // a full disk fails that, and not the page
    return respond(fetched, fetched.crossed);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    // A newer version's file would leave an old page stranded: better none, and to look for that version.
    event.waitUntil(sw.registration.update());
    return new Response(error.message, { status: 502, headers: ISOLATION });
  }
}

/**
 * Whether a page that starts a worker was reloaded past the service worker, and has its files from another
 * version maybe. A browser hands its workers to the service worker all the same.
 *
 * @param {string} clientId
 */
async function isStranger(clientId) {
  const [ours, all] = await Promise.all([
    sw.clients.matchAll({ type: 'all' }),
    sw.clients.matchAll({ type: 'all', includeUncontrolled: true }),
  ]);
  const isIn = (/** @type {readonly Client[]} */ list) => list.some(({ id }) => id === clientId);
  return isIn(all) && !isIn(ours);
}

/** A stranger's worker gets its files, and workers of its own, from where its page is. @param {FetchEvent} event */
function estrange({ request, resultingClientId }) {
  if (request.destination === 'worker' && resultingClientId) strangers.add(resultingClientId);
}

/** The newest list of models that this page can read. @param {FetchEvent} event @returns {Promise<Response>} */
async function answerCatalog(event) {
  const kept = await (await caches.open(CACHE)).match(urlOf(CATALOG));
  try {
    const patience = kept && { signal: AbortSignal.timeout(PATIENCE_MS) };
    const fetched = await fetchFile(event.request, patience);
    if (kept !== undefined && !isReadable(fetched)) return kept;
    event.waitUntil(keepCatalog(fetched));
    return respond(fetched, fetched.crossed);
  } catch (error) {
    if (kept === undefined) throw error;
    return kept;
  }
}

/** @param {Fetched} fetched */
async function keepCatalog(fetched) {
  if (isReadable(fetched)) {
    await (await caches.open(CACHE)).put(urlOf(CATALOG), respond(fetched, 0));
  }
}

/** @param {Fetched} fetched @returns {boolean} whether it is a list of models that this page reads */
function isReadable({ head, body }) {
  if (!head.ok) return false;
  try {
    return JSON.parse(new TextDecoder().decode(body)).schema_version === schemaVersion;
  } catch (error) {
    if (error instanceof SyntaxError) return false; // a hotel's network answers for everybody
    throw error;
  }
}
