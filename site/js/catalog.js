// Fetch the catalog and make sure that nothing in it reaches outside its folder.

import { PesoLeveError } from './errors.js';

/**
 * @typedef {import('./catalog_types.js').Catalog} Catalog
 * @typedef {import('./catalog_types.js').Model} Model
 * @typedef {import('./catalog_types.js').File} File
 */

export const DEFAULT_CATALOG = new URL('../models/catalog.json', import.meta.url).href;
export const SCHEMA_VERSION = 6;

// As in site/schema/catalog.schema.json: one folder, one content-addressed name, nothing above.
const PATH = /^[a-z0-9][a-z0-9._-]*\/[a-z0-9_]+-[0-9a-f]{16}\.[a-z0-9.]+$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** No file of a model that runs in a page is larger; a catalog that says so is wrong or hostile. */
const LARGEST_FILE = 4 * 2 ** 30;

/**
 * @param {string} [url]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Model[]>}
 * @throws {PesoLeveError} catalog_unavailable, catalog_invalid
 */
export async function fetchCatalog(url = DEFAULT_CATALOG, signal) {
  /** @type {unknown} */
  let value;
  try {
    const response = await fetch(url, { signal: signal ?? null, cache: 'no-cache' });
    if (!response.ok) {
      throw new PesoLeveError('catalog_unavailable', `${url} answered ${response.status}`);
    }
    value = await response.json();
  } catch (error) {
    if (error instanceof PesoLeveError) throw error;
    if (error instanceof SyntaxError) throw invalid('it is not JSON', error);
    if (signal?.aborted) throw new PesoLeveError('aborted', 'The caller cancelled the work.');
    const message = error instanceof Error ? error.message : String(error);
    throw new PesoLeveError('catalog_unavailable', `${url}: ${message}`, {
      retryable: true,
      cause: error,
    });
  }
  return checkCatalog(value);
}

/**
 * Check what the page itself relies on; the worker checks the whole entry against its own types.
 *
 * @param {unknown} value
 * @returns {Model[]}
 */
export function checkCatalog(value) {
  const catalog = /** @type {Partial<Catalog> | null} */ (value);
  if (typeof catalog !== 'object' || catalog === null) throw invalid('it is not an object');
  if (catalog.schema_version !== SCHEMA_VERSION) {
    throw invalid(
      `its schema_version is ${catalog.schema_version}, and this page reads ${SCHEMA_VERSION}`,
    );
  }
  if (!Array.isArray(catalog.models)) throw invalid('it has no models');
  for (const model of catalog.models) checkModel(model);
  return catalog.models;
}

/**
 * @param {string} id
 * @param {string} [url] of the catalog
 * @param {AbortSignal} [signal]
 * @returns {Promise<Model>}
 * @throws {PesoLeveError} model_unknown, and what fetching the catalog throws
 */
export async function findModel(id, url, signal) {
  const models = await fetchCatalog(url, signal);
  const model = models.find((candidate) => candidate.id === id);
  if (model === undefined) {
    const known = models.map((candidate) => candidate.id).join(', ') || 'none';
    throw new PesoLeveError('model_unknown', `The catalog has no model '${id}'; it has: ${known}.`);
  }
  return model;
}

/** @param {Model} model */
function checkModel(model) {
  if (typeof model?.id !== 'string') throw invalid('a model has no id');
  if (!Array.isArray(model.files)) throw invalid(`${model.id} has no files`);
  for (const file of model.files) {
    const where = `${model.id}: ${String(file?.path).slice(0, 80)}`;
    if (!PATH.test(file?.path)) throw invalid(`${where} is not a path below the catalog`);
    if (!SHA256.test(file.sha256)) throw invalid(`${where} has no sha256`);
    for (const size of [file.bytes, file.decoded_bytes]) {
      if (!Number.isInteger(size) || size < 0 || size > LARGEST_FILE) {
        throw invalid(`${where} has no believable size`);
      }
    }
  }
  for (const device of Object.values(model.devices ?? {})) {
    for (const path of Object.values(device.files).flat()) fileAt(model, path);
  }
}

/** @param {Model} model @param {string} path @returns {File} */
export function fileAt(model, path) {
  const file = model.files.find((candidate) => candidate.path === path);
  if (file === undefined) throw invalid(`${model.id} lists no file ${path}`);
  return file;
}

/**
 * @param {Model} model
 * @param {string} device
 * @param {string} dtype
 * @returns {File[]} what `device` needs to open `dtype`
 */
export function filesFor(model, device, dtype) {
  const paths = model.devices[device]?.files[dtype];
  if (paths === undefined) {
    const dtypes = Object.keys(model.devices[device]?.files ?? {});
    throw new PesoLeveError(
      'option_invalid',
      `${model.id} has no dtype '${dtype}' on ${device}; it has: ${dtypes.join(', ') || 'none'}`,
    );
  }
  return paths.map((path) => fileAt(model, path));
}

/**
 * @param {Model} model
 * @param {string} device
 * @param {string} dtype
 * @returns {Record<string, File[]>} the same by role, shards in order
 */
export function filesByRole(model, device, dtype) {
  /** @type {Record<string, File[]>} */
  const roles = {};
  for (const file of filesFor(model, device, dtype)) {
    roles[file.role] = [...(roles[file.role] ?? []), file];
  }
  return roles;
}

/**
 * What `quality` and `canary` call `dtype` on `device`: the int8 layout answers otherwise than the weights
 * that travel, and its figures have a name of their own (Model.quality_key in Python).
 *
 * @param {Model} model @param {string} device @param {string} dtype
 */
export function qualityKey(model, device, dtype) {
  return model.devices[device]?.layout === 'int8' ? `${dtype}_int8` : dtype;
}

/** @param {string} problem @param {unknown} [cause] */
function invalid(problem, cause) {
  return new PesoLeveError('catalog_invalid', `The catalog cannot be used: ${problem}.`, { cause });
}
