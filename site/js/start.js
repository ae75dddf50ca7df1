// From a model's id to a worker that has it open: download, decode and boot side by side, then open.

import { DEFAULT_CATALOG, filesFor, findModel } from './catalog.js';
import { chooseDevice } from './device.js';
import { download } from './download.js';
import { aborted, asPesoLeveError } from './errors.js';
import { DECODE_WORKER_URL, WorkerClient } from './worker_client.js';

/**
 * @typedef {import('./catalog_types.js').Model} Entry
 * @typedef {import('./catalog_types.js').File} File
 * @typedef {import('./device.js').DeviceChoice} DeviceChoice
 * @typedef {import('./download.js').Downloaded} Downloaded
 * @typedef {import('./protocol.js').FetchedFile} FetchedFile
 * @typedef {import('./protocol.js').LoadResult} LoadResult
 * @typedef {import('./protocol.js').Weights} Weights
 * @typedef {import('./pesoleve.js').LoadOptions} LoadOptions
 * @typedef {import('./pesoleve.js').Stats} Stats
 * @typedef {{downloaded: Downloaded, content: Uint8Array | Weights, seconds: Record<string, number>,
 *   fetched: FetchedFile[]}} Arrived  a file, decoded; `fetched` is what decoding took
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
  const begun = performance.now();
  const entry = await findModel(id, catalogUrl);
  const choice = await chooseDevice(device, Object.keys(entry.devices));
  const dtype = options.dtype ?? entry.default_dtype;
  const files = new Set(choice.devices.flatMap((name) => filesFor(entry, name, dtype)));
  const stop = new AbortController();
  const stopping = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const client = new WorkerClient();
  const decoder = new WorkerClient(DECODE_WORKER_URL);
  const giveUp = () => client.kill(aborted());
  signal?.addEventListener('abort', giveUp);
  try {
    const { build, threads, devices } = choice;
    const layout = entry.devices[devices[0] ?? 'wasm']?.layout ?? 'file';
    const expansion = {
      layout: layout === 'int8' ? null : layout,
      keepPlanes: layout === 'int8' || devices.length > 1,
    };
    const arrive = async (/** @type {File} */ file) => {
      const phase = /** @type {import('./protocol.js').Phase} */ (file.role);
      const onBytes = (/** @type {number} */ loaded) =>
        onProgress({ phase, file: file.path, loaded, total: file.bytes });
      const url = new URL(file.path, catalogUrl).href;
      const { content, downloaded } = await download(url, file, { signal: stopping, onBytes });
      const expands = file.role === 'weights' && layout !== 'file';
      return await decode(decoder, downloaded, content, file, expands ? expansion : null);
    };
    const [init, ...arrived] = await Promise.all([
      /** @type {Promise<{seconds: Record<string, number>}>} */ (
        client.request('init', { build, threads }, { onProgress })
      ),
      ...[...files].map(arrive),
    ]);
    decoder.kill(aborted()); // and what it holds of the files goes with it
    const downloads = arrived.map(({ downloaded }) => downloaded);
    const downloadSeconds = Math.max(...downloads.map((d) => d.start + d.seconds)) - begun / 1000;
    /** @type {LoadResult} */
    const result = await client.request(
      'load',
      {
        model: JSON.stringify(entry),
        dtype,
        devices,
        files: Object.fromEntries(arrived.map((file) => [file.downloaded.path, file.content])),
      },
      { onProgress, transfer: arrived.flatMap(({ content }) => buffers(content)) },
    );
    const fetched = arrived.flatMap((file) => file.fetched);
    const stats = measure(entry, dtype, choice, downloads, {
      ...result,
      fetched: [...result.fetched, ...fetched],
    });
    const decoding = arrived.reduce((sum, { seconds }) => add(sum, seconds), {});
    stats.seconds = {
      download: downloadSeconds,
      ...init.seconds,
      ...add(decoding, result.seconds),
      total: (performance.now() - begun) / 1000,
    };
    return { client, entry, stats };
  } catch (error) {
    stop.abort(); // one failure stops what else is under way
    const known = signal?.aborted ? aborted() : asPesoLeveError(error);
    client.kill(known);
    throw known;
  } finally {
    decoder.kill(aborted());
    signal?.removeEventListener('abort', giveUp);
  }
}

/**
 * @param {WorkerClient} decoder
 * @param {Downloaded} downloaded
 * @param {Uint8Array<ArrayBuffer>} wire
 * @param {File} file
 * @param {{layout: string | null, keepPlanes: boolean} | null} expansion of a decoder's weights
 * @returns {Promise<Arrived>}
 */
async function decode(
  decoder,
  downloaded,
  wire,
  { codec, decoded_bytes: decodedBytes },
  expansion,
) {
  const payload = { wire, codec, decodedBytes, ...expansion };
  const transfer = [wire.buffer];
  if (expansion === null) {
    /** @type {import('./protocol.js').Decoded} */
    const { content, seconds, fetched } = await decoder.request('decode', payload, { transfer });
    return { downloaded, content, seconds, fetched };
  }
  /** @type {import('./protocol.js').Expanded} */
  const { files, planes, seconds, fetched } = await decoder.request('expand', payload, {
    transfer,
  });
  return { downloaded, content: { files, planes }, seconds, fetched };
}

/** @param {Uint8Array | Weights} content @returns {ArrayBuffer[]} */
function buffers(content) {
  const parts =
    content instanceof Uint8Array
      ? [content]
      : [
          ...(content.files ?? []).map(({ data }) => data),
          ...(content.planes ? [content.planes] : []),
        ];
  return [...new Set(parts.map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer)))];
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
 * @param {Downloaded[]} modelFiles
 * @param {LoadResult} result
 * @returns {Stats}
 */
function measure(entry, dtype, choice, modelFiles, result) {
  const others = result.fetched.map(({ url, ...times }) => {
    const path = new URL(url).pathname;
    const folder = /\/vendor\/([^/]+)\//.exec(path)?.[1];
    const role = folder === 'pyodide' ? 'python' : folder === undefined ? 'page' : 'runtime';
    return { role, path: path.split('/').slice(-2).join('/'), ...times };
  });
  const files = [...modelFiles, ...others];
  const sum = (/** @type {{bytes: number}[]} */ rows) =>
    rows.reduce((total, row) => total + row.bytes, 0);
  const { python, runtime } = result.memory;
  return {
    id: entry.id,
    dtype,
    device: result.device,
    choice,
    rejected: result.rejected,
    threads: choice.threads,
    canaryDifference: result.canary_difference,
    files,
    bytes: { model: sum(modelFiles), total: sum(files) },
    seconds: {},
    memory: { python, runtime, total: python + runtime },
    runs: [],
    generations: [],
  };
}
