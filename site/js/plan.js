// What a load will fetch, to the byte, before any of it is fetched.

import { filesFor } from './catalog.js';
import { PesoLeveError } from './errors.js';
import { storedFiles } from './stored.js';

/**
 * @typedef {{bytes: number, decoded_bytes: number}} Size
 * @typedef {{files: Record<string, Size>}} Manifest what `vendor` wrote: each runtime file's size, as it
 *   travels with brotli
 * @typedef {{model: number, runtime: number, python: number, total: number, stored: number, timing: number,
 *   metered: 'save_data' | 'cellular' | null}} DownloadPlan  bytes, all of them cold; `stored` of the
 *   model's are on this device already; `timing` a cut of the model fetches; `metered` says why a visitor should be asked first
 */

const MANIFEST = new URL('../vendor/manifest.json', import.meta.url).href;

/** @type {Record<import('./protocol.js').RuntimeBuild, string[]>} */
const RUNTIME_FILES = {
  wasm: ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'],
  jspi: ['ort.jspi.min.mjs', 'ort-wasm-simd-threaded.jspi.mjs', 'ort-wasm-simd-threaded.jspi.wasm'],
  asyncify: [
    'ort.webgpu.min.mjs',
    'ort-wasm-simd-threaded.asyncify.mjs',
    'ort-wasm-simd-threaded.asyncify.wasm',
  ],
};

/** @type {Promise<Manifest> | null} */
let manifest = null;

/** @returns {Promise<Manifest>} fetched once; a failure is forgotten, so that the next call tries again */
function fetchManifest() {
  manifest ??= (async () => {
    const response = await fetch(MANIFEST);
    if (!response.ok)
      throw new PesoLeveError('runtime_failed', `${MANIFEST} answered ${response.status}`);
    return await response.json();
  })().catch((error) => {
    manifest = null;
    throw error;
  });
  return manifest;
}

/**
 * @param {import('./catalog_types.js').Model} model
 * @param {string} dtype
 * @param {import('./device.js').DeviceChoice} choice
 * @param {boolean} [timed] a cut of the model was, for which the runtime came, and what Python starts from
 * @returns {Promise<DownloadPlan>}
 */
export async function planDownload(model, dtype, choice, timed = false) {
  const { files } = await fetchManifest();
  const sum = (/** @type {string[]} */ names) =>
    names.reduce((bytes, name) => bytes + (files[name]?.bytes ?? 0), 0);
  const inFolder = (/** @type {string} */ folder) =>
    Object.keys(files).filter((name) => name.startsWith(`${folder}/`));
  // Another device, should the first fail, has a graph of its own.
  const wanted = new Set(choice.devices.flatMap((device) => filesFor(model, device, dtype)));
  const bytes = [...wanted].reduce((total, file) => total + file.bytes, 0);
  const started =
    sum(RUNTIME_FILES[choice.build].map((name) => `onnxruntime/${name}`)) +
    sum(inFolder('tokenizers')) +
    sum(inFolder('zstd'));
  const runtime =
    (timed ? 0 : started) +
    sum(inFolder('hash')) +
    (model.task === 'text_generation' ? sum(inFolder('jinja')) : 0);
  const snapshot = sum(['pyodide/python.snapshot']);
  const python = sum(inFolder('pyodide')) - (timed ? snapshot : 0);
  const here = await storedFiles();
  const stored = [...wanted].reduce(
    (total, file) => total + Math.min(file.bytes, here.get(file.sha256) ?? 0),
    0,
  );
  const total = bytes + runtime + python;
  const timing = timed ? 0 : started + snapshot;
  return { model: bytes, runtime, python, total, stored, timing, metered: meteredBy() };
}

/** @returns {DownloadPlan['metered']} */
function meteredBy() {
  /** @type {{saveData?: boolean, type?: string} | undefined} */
  const connection = /** @type {any} */ (navigator).connection;
  if (connection?.saveData) return 'save_data';
  return connection?.type === 'cellular' ? 'cellular' : null;
}
