// From a model's id to workers that have it open: download and decode, start the runtime, and boot Python side by side.

import { DEFAULT_CATALOG, filesByRole, findModel } from './catalog.js';
import { transferable } from './contents.js';
import { chooseDevice } from './device.js';
import { aborted, asPesoLeveError, PesoLeveError } from './errors.js';
import { Rehearsal } from './rehearsal.js';
import { COMPUTE_WORKER_URL, FILES_WORKER_URL, WorkerClient } from './worker_client.js';

/**
 * @typedef {import('./catalog_types.js').Model} Entry
 * @typedef {import('./device.js').DeviceChoice} DeviceChoice
 * @typedef {import('./protocol.js').LoadResult} LoadResult
 * @typedef {import('./protocol.js').Prepared} Prepared
 * @typedef {import('./pesoleve.js').LoadOptions} LoadOptions
 * @typedef {import('./pesoleve.js').Stats} Stats
 */

/**
 * @param {string} id
 * @param {LoadOptions} options
 * @returns {Promise<{client: WorkerClient, entry: Entry, stats: Stats}>}
 * @throws {import('./errors.js').PesoLeveError}
 */
export async function start(id, options) {
  const { device = 'auto', catalogUrl = DEFAULT_CATALOG, onProgress = () => {}, signal } = options;
  if (signal?.aborted) throw aborted();
  if (!globalThis.crypto?.subtle) {
    throw new PesoLeveError(
      'insecure_context',
      'Files can be verified only over HTTPS or on localhost.',
    );
  }
  const begun = performance.now();
  // Their scripts come while the catalog does.
  const client = new WorkerClient();
  const compute = new WorkerClient(COMPUTE_WORKER_URL);
  client.beside.push(compute);
  compute.beside.push(client);
  const preparer = new WorkerClient(FILES_WORKER_URL);
  const giveUp = () => {
    client.kill(aborted());
    preparer.kill(aborted()); // what has arrived is on the disk, for the next time
  };
  signal?.addEventListener('abort', giveUp);
  try {
    const entry = await findModel(id, catalogUrl, signal);
    const dtype = options.dtype ?? entry.default_dtype;
    const choice = await chooseDevice(device, entry, dtype);
    if (signal?.aborted) throw aborted();
    const { build, threads, devices } = choice;
    const files = Object.fromEntries(
      devices.map((name) => [name, filesByRole(entry, name, dtype)]),
    );
    /** @type {import('./protocol.js').PreparePayload} */
    const wanted = {
      files,
      baseUrl: new URL(catalogUrl, location.href).href,
      keep: options.keep ?? true,
      sparing: devices.every((name) => entry.devices[name]?.layout === 'int8'),
      patience: options.patience ?? {},
    };
    const { port1: toPython, port2: toCompute } = new MessageChannel();
    /** @type {Promise<{seconds: Record<string, number>}>} */
    const computing = compute.request(
      'start',
      { build, threads, port: toPython },
      { onProgress, transfer: [toPython] },
    );
    /** @type {Promise<{seconds: Record<string, number>}>} */
    const started = client.request(
      'init',
      { port: toCompute },
      { onProgress, transfer: [toCompute] },
    );
    /** @type {PromiseWithResolvers<Uint8Array<ArrayBuffer>>} */
    const tokenizer = Promise.withResolvers();
    /** @type {PromiseWithResolvers<Uint8Array>} */
    const graph = Promise.withResolvers();
    const [first = ''] = devices;
    const rehearsal = new Rehearsal(entry, first, files[first]?.weights ?? []);
    /** @type {Promise<Prepared>} */
    const preparing = preparer.request('prepare', wanted, {
      onProgress: (progress) => {
        rehearsal.add(progress);
        onProgress(progress);
      },
      onEarly: (role, content) => (role === 'graph' ? graph : tokenizer).resolve(content),
    });
    // Python reads the entry, and the tokenizer is opened, while weights arrive.
    const define = async () => {
      const [content] = await Promise.all([tokenizer.promise, started]);
      // Of the entry, what is the page's own business stays here: reading it takes Python a while.
      const read = { ...entry, files: [], quality: [], lineage: [], devices: {} };
      const known = { model: JSON.stringify(read), dtype, tokenizer: content };
      await client.request('define', known, { transfer: [content.buffer] });
    };
    /** @returns {Promise<Record<string, number>>} seconds by stage */
    const rehearse = async () => {
      await computing;
      if (!rehearsal.hasTime()) return {};
      const { weightBytes, config } = rehearsal;
      const asked = { graph: await graph.promise, weightBytes, config };
      try {
        /** @type {{seconds: number}} */
        const { seconds } = await compute.request('rehearse', asked);
        return { rehearsal: seconds };
      } catch {
        return {}; // whatever stands in the way, the load will meet it, and say so
      }
    };
    const rehearsing = rehearse();
    // The runtime opens the model as soon as its files are here, whatever Python is at.
    const held = async () => {
      const [prepared] = await Promise.all([preparing, rehearsing]);
      preparer.kill(aborted()); // and what it holds of the files goes with it
      const { payload, transfer, ngrams } = holding(entry, devices, prepared.contents);
      await compute.request('hold', payload, { transfer });
      return { prepared, ngrams };
    };
    const [computed, init, rehearsed, { prepared, ngrams }] = await Promise.all([
      computing,
      started,
      rehearsing,
      held(),
      define(),
    ]);
    const arrivedBy = performance.now() / 1000;
    /** @type {LoadResult} */
    const result = await client.request('load', { devices, ngrams }, { onProgress });
    const stats = measure(entry, dtype, choice, prepared, result);
    // What came over the network, before anything was opened; or from the disk, where all was here.
    const came = stats.files.filter(
      ({ role, bytes, start }) => role !== 'page' && bytes > 0 && start < arrivedBy,
    );
    const own = stats.files.filter(({ role }) => role in (files[first] ?? {}));
    const ends = (came.length > 0 ? came : own).map(({ start, seconds }) => start + seconds);
    stats.seconds = {
      download: Math.max(...ends) - begun / 1000,
      ...computed.seconds,
      ...init.seconds,
      ...rehearsed,
      ...add(prepared.seconds, result.seconds),
      total: (performance.now() - begun) / 1000,
    };
    return { client, entry, stats };
  } catch (error) {
    const known = signal?.aborted ? aborted() : asPesoLeveError(error);
    client.kill(known);
    throw known;
  } finally {
    preparer.kill(aborted()); // one failure stops what else is under way
    signal?.removeEventListener('abort', giveUp);
  }
}

/**
 * @param {Entry} entry
 * @param {string[]} devices
 * @param {import('./protocol.js').Contents} contents
 * @returns {{payload: import('./protocol.js').HoldPayload, transfer: ArrayBuffer[], ngrams: Uint8Array | null}}
 */
function holding(entry, devices, contents) {
  const { layers, kv_heads: heads, head_size: size } = entry.shape;
  /** @type {import('./protocol.js').HoldPayload} */
  const payload = { devices, files: {}, how: {} };
  /** @type {Uint8Array | null} */
  let ngrams = null;
  for (const device of devices) {
    const { ngrams: habits, ...files } = contents[device] ?? {};
    ngrams ??= habits ?? null;
    const { layout = 'file', session_config: config = {} } = entry.devices[device] ?? {};
    /** @type {[number, number, number] | null} */
    const kvShape = entry.task === 'text_generation' ? [layers, heads, size] : null;
    payload.files[device] = files;
    payload.how[device] = { layout, config, kvShape };
  }
  return { payload, transfer: transferable(payload.files), ngrams };
}

/** @param {Record<string, number>} left @param {Record<string, number>} right */
function add(left, right) {
  const sum = { ...left };
  for (const [key, value] of Object.entries(right)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
}

/**
 * @param {Entry} entry
 * @param {string} dtype
 * @param {DeviceChoice} choice
 * @param {Prepared} prepared
 * @param {LoadResult} result
 * @returns {Stats}
 */
function measure(entry, dtype, choice, prepared, result) {
  const origin = performance.timeOrigin / 1000; // workers tell seconds since the epoch
  const others = [...result.fetched, ...prepared.fetched]
    .filter(({ url }) => !prepared.files.some((file) => file.url === url))
    .map(({ url, ...told }) => {
      const path = new URL(url).pathname;
      const folder = /\/vendor\/([^/]+)\//.exec(path)?.[1];
      // What is not a runtime's is the page's own, wherever it is (ledger.js).
      const own = folder === undefined || folder === 'dequantize';
      const role = folder === 'pyodide' ? 'python' : own ? 'page' : 'runtime';
      const start = told.start - origin;
      return { role, path: path.split('/').slice(-2).join('/'), url, ...told, start };
    });
  const models = prepared.files.map((file) => ({ ...file, start: file.start - origin }));
  const files = [...models, ...others];
  const sum = (/** @type {{bytes: number}[]} */ rows) =>
    rows.reduce((total, row) => total + row.bytes, 0);
  const { python, runtime } = result.memory;
  const total = python + runtime; // a WebAssembly heap never shrinks
  const { peak, end } = prepared.held;
  return {
    id: entry.id,
    dtype,
    device: result.device,
    choice,
    rejected: result.rejected,
    threads: choice.threads,
    canaryDifference: result.canary_difference,
    files,
    storage: prepared.store,
    bytes: { model: sum(models), total: sum(files.filter(({ role }) => role !== 'page')) },
    seconds: {},
    memory: { python, runtime, total, loading: Math.max(peak, end + total) },
    runs: [],
    generations: [],
  };
}
