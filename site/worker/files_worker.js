// A model's files, from the network or the disk to what a session takes: fetched, verified and decompressed,
// beside the worker that boots Python and the runtime.
// Speaks the envelopes of js/protocol.js: `prepare` is answered by `progress`, one `early` each for the tokenizer and
// the first device's graph as soon as they are here, and one `result` or `error`.

import { transferable } from '../js/contents.js';
import { asPesoLeveError } from '../js/errors.js';
import { VERSION } from '../js/protocol.js';
import { Decompression, zstd } from './decompress.js';
import { download } from './download.js';
import { startHash } from './hash.js';
import { discard, HeldBytes } from './memory.js';
import { fetchedFiles } from './resource_progress.js';
import { memoryStore, openStore, readOnly } from './store.js';

/**
 * @typedef {import('../js/catalog_types.js').File} File
 * @typedef {import('../js/protocol.js').PreparePayload} PreparePayload
 * @typedef {import('../js/protocol.js').Prepared} Prepared
 * @typedef {import('../js/protocol.js').ModelFile} ModelFile
 * @typedef {import('../js/protocol.js').Part} Part
 */

/** Downloads at once: enough to fill a connection, few enough that the first shards come first. */
const PARALLEL = 3;
const REPORT_MS = 50;

/** The roles of what is handed over first: there is much to do with them while weights come. */
const TOKENIZER = 'tokenizer';
const GRAPH = 'graph';

/** @type {import('../js/protocol.js').Patience} */
const PATIENCE = { attempts: 6, firstDelay: 0.5, stall: 30 };

/**
 * @param {PreparePayload} payload
 * @param {(progress: import('../js/protocol.js').Progress) => void} report
 * @param {(role: string, content: Uint8Array<ArrayBuffer>) => void} onEarly
 * @returns {Promise<Prepared>}
 */
async function prepare({ files, baseUrl, keep, sparing, patience }, report, onEarly) {
  const rows = [
    ...new Map(
      Object.values(files)
        .flatMap((roles) => Object.values(roles).flat())
        .map(named),
    ).values(),
  ];
  const [{ store, reason }] = await Promise.all([storeFor(rows, keep), startHash(), zstd()]);
  const seconds = { decode: 0 };
  /** @type {ModelFile[]} */
  const arrived = [];
  let notKept = false;
  const held = new HeldBytes();
  // A role's shards fill one buffer, each as soon as it is here, in whatever order they come; or each has its own, for no
  // longer than it must.
  /** @type {Map<string, {shards: File[], content: Uint8Array<ArrayBuffer>, parts: Part[] | null, left: number}>} */
  const roles = new Map();
  for (const shards of Object.values(files).flatMap((byRole) => Object.values(byRole))) {
    const key = shards.map(({ path }) => path).join();
    if (roles.has(key)) continue;
    const apart = sparing && shards[0]?.role === 'weights';
    const size = apart ? 0 : shards.reduce((sum, { decoded_bytes: bytes }) => sum + bytes, 0);
    const parts = apart ? [] : null;
    roles.set(key, { shards, content: new Uint8Array(size), parts, left: shards.length });
    held.add(size);
  }
  const queue = [...roles.values()].flatMap((role) => {
    let at = 0;
    return role.shards.map((file, index) => {
      const start = at;
      at += file.decoded_bytes;
      return { file, role, index, start };
    });
  });
  // What is small first: a session wants its graph, and it is gone in a moment.
  queue.sort(
    (left, right) => Number(left.file.role === 'weights') - Number(right.file.role === 'weights'),
  );
  const firstGraph = Object.values(files)[0]?.[GRAPH]?.[0];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { file, role: whole, index, start } = next;
      const size = file.decoded_bytes;
      const place = whole.parts
        ? new Uint8Array(size)
        : whole.content.subarray(start, start + size);
      if (whole.parts) held.add(size);
      const url = new URL(file.path, baseUrl).href;
      const onBytes = throttled(file.bytes, (loaded) =>
        report({ phase: phase(file), file: file.path, loaded, total: file.bytes }),
      );
      const sink = await Decompression.open(file, place);
      const told = await download(url, file, {
        store,
        patience: { ...PATIENCE, ...patience },
        sink,
        onBytes,
      });
      notKept ||= store.kind !== 'memory' && !told.kept;
      seconds.decode += sink.seconds;
      const { role, path, bytes: wireBytes, decoded_bytes: decodedBytes } = file;
      arrived.push({ role, path, url, wireBytes, decodedBytes, ...told });
      if (whole.parts) {
        const { sha256 } = file;
        const handle = await store.settled(sha256, size);
        const where = handle ? { handle, content: null } : { handle, content: place };
        whole.parts[index] = { sha256, bytes: size, ...where };
        if (handle) {
          discard(place.buffer);
          held.add(-size);
        }
      }
      whole.left--;
      if (whole.left > 0) continue;
      if (role === TOKENIZER) onEarly(role, whole.content);
      // A copy, since it goes on with the rest as well: it is small.
      if (whole.shards[0]?.path === firstGraph?.path) onEarly(role, whole.content.slice());
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  const byRole = (/** @type {Record<string, File[]>} */ { [TOKENIZER]: _, ...of }) =>
    mapValues(of, (shards) => {
      const { parts, content } = roles.get(shards.map(({ path }) => path).join()) ?? {};
      return parts ?? content;
    });
  return {
    contents: /** @type {Prepared['contents']} */ (mapValues(files, byRole)),
    files: arrived,
    store: notKept ? { kind: 'memory', reason: 'disk_full' } : { kind: store.kind, reason },
    seconds,
    held: { peak: held.peak, end: held.now },
    fetched: fetchedFiles(),
  };
}

/**
 * Ask for room before the first byte: a model that cannot be kept runs from memory.
 *
 * @param {File[]} files @param {boolean} keep
 * @returns {Promise<{store: import('./store.js').Store, reason: import('../js/protocol.js').StoreReason}>}
 */
async function storeFor(files, keep) {
  if (!keep) return { store: memoryStore(), reason: 'asked' };
  const store = await openStore();
  if (store.kind === 'memory') return { store, reason: 'unsupported' };
  let missing = 0;
  for (const { sha256, bytes } of files) {
    missing += Math.max(0, bytes - (await store.held(sha256)));
  }
  if (missing === 0 || (await store.hasRoom(missing))) return { store, reason: null };
  return { store: readOnly(store), reason: 'quota' };
}

/** @param {File} file @returns {[string, File]} */
function named(file) {
  return [file.path, file];
}

/** @param {File} file */
function phase(file) {
  return /** @type {import('../js/protocol.js').Phase} */ (file.role);
}

/**
 * @template T, U
 * @param {Record<string, T>} record @param {(value: T) => U} change @returns {Record<string, U>}
 */
function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/**
 * @param {number} total
 * @param {(loaded: number) => void} tell
 * @returns {(loaded: number) => void} tells every so often, and of the last byte
 */
function throttled(total, tell) {
  let last = Number.NEGATIVE_INFINITY;
  return (loaded) => {
    const now = performance.now();
    if (loaded < total && now - last < REPORT_MS) return;
    last = now;
    tell(loaded);
  };
}

self.addEventListener('message', async ({ data: { id, payload } }) => {
  const post = (/** @type {object} */ message, /** @type {Transferable[]} */ transfer = []) =>
    self.postMessage({ v: VERSION, id, ...message }, { transfer });
  try {
    const value = await prepare(
      payload,
      (progress) => post({ type: 'progress', progress }),
      (role, content) => post({ type: 'early', role, content }, [content.buffer]),
    );
    post({ type: 'result', value }, transferable(value.contents));
  } catch (error) {
    const { code, message, phase: where, retryable, stack = '' } = asPesoLeveError(error);
    post({ type: 'error', error: { code, message, phase: where, retryable, traceback: stack } });
  }
});
