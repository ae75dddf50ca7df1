// What models have left on this device, by model: the page's view of what site/worker/store.js keeps.

/** The folder in the origin's private file system, and the name of the cache where there is none. */
export const FOLDER = 'pesoleve-models';

/**
 * @typedef {import('./catalog_types.js').Model} Model
 * @typedef {{id: string | null, bytes: number, files: string[]}} StoredModel  `files` are by sha256; no id:
 *   files of earlier versions, which no model of the catalog wants any more
 */

/** The lock that who writes or deletes a file holds. @param {string} sha256 */
export function lockName(sha256) {
  return `pesoleve:${sha256}`;
}

/** How long a worker that was stopped may hold on to its files, which it does longer than to its locks. */
const RELEASE_MS = 2000;

/**
 * Do what only one may do with a file at a time, as soon as nobody else does.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 * @throws {DOMException} NoModificationAllowedError, when somebody has it open for long
 */
export async function onceReleased(work) {
  for (const end = performance.now() + RELEASE_MS; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!isInUse(error) || performance.now() > end) throw error;
      await new Promise((resume) => setTimeout(resume, RELEASE_MS / 50));
    }
  }
}

/** @param {unknown} error */
export function isInUse(error) {
  return error instanceof DOMException && error.name === 'NoModificationAllowedError';
}

/** @returns {Promise<Map<string, number>>} bytes held by sha256; a file under way has fewer than it will */
export async function storedFiles() {
  const found = new Map();
  const folder = await openFolder();
  if (folder !== null) {
    for await (const [name, handle] of /** @type {any} */ (folder).entries()) {
      if (name.includes('.')) continue; // what a server called it, or a copy that is being made
      const size = await sizeOf(/** @type {FileSystemFileHandle} */ (handle));
      if (size > 0) found.set(name, size); // else it was asked for, and has not come
    }
  }
  if (typeof caches !== 'undefined' && (await caches.has(FOLDER))) {
    const cache = await caches.open(FOLDER);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      const name = request.url.split('/').pop() ?? '';
      found.set(name, Number(response?.headers.get('Content-Length') ?? 0));
    }
  }
  return found;
}

/**
 * @param {Model[]} models of the catalog
 * @returns {Promise<StoredModel[]>} those with something here; a file that two models share counts for the
 *   first
 */
export async function storedModels(models) {
  const files = await storedFiles();
  const rows = models.map(({ id, files: wanted }) => {
    const names = [...new Set(wanted.map(({ sha256 }) => sha256))].filter((name) =>
      files.has(name),
    );
    const row = { id, bytes: sum(files, names), files: names };
    for (const name of names) files.delete(name);
    return row;
  });
  const left = [...files.keys()];
  return [...rows, { id: null, bytes: sum(files, left), files: left }].filter(
    (row) => row.files.length > 0,
  );
}

/** @param {string[]} files by sha256; one that another tab is fetching just now stays */
export async function removeStored(files) {
  const folder = await openFolder();
  const cache =
    typeof caches !== 'undefined' && (await caches.has(FOLDER)) ? await caches.open(FOLDER) : null;
  const keys = (await cache?.keys()) ?? [];
  const held = new Set(await storedNames(folder));
  for (const name of files) {
    await unlessLocked(lockName(name), async () => {
      for (const entry of [name, `${name}.etag`, `${name}.settling`]) {
        if (held.has(entry)) await onceReleased(async () => await folder?.removeEntry(entry));
      }
      for (const request of keys) {
        if (request.url.endsWith(`/${name}`)) await cache?.delete(request);
      }
    });
  }
}

/** @param {string} lock @param {() => Promise<void>} work */
async function unlessLocked(lock, work) {
  if (navigator.locks === undefined) return await work();
  await navigator.locks.request(lock, { ifAvailable: true }, async (got) => {
    if (got !== null) await work();
  });
}

/** @param {FileSystemFileHandle} handle @returns {Promise<number>} 0 if it was taken away since it was listed */
async function sizeOf(handle) {
  try {
    return (await handle.getFile()).size;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return 0;
    throw error;
  }
}

/** @param {FileSystemDirectoryHandle | null} folder @returns {Promise<string[]>} */
async function storedNames(folder) {
  const names = [];
  if (folder !== null) {
    for await (const name of /** @type {any} */ (folder).keys()) names.push(name);
  }
  return names;
}

/** @returns {Promise<FileSystemDirectoryHandle | null>} null while there is none */
async function openFolder() {
  if (!navigator.storage?.getDirectory) return null;
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER);
  } catch (error) {
    const known = error instanceof DOMException ? error.name : '';
    if (known === 'NotFoundError' || known === 'SecurityError') return null;
    throw error;
  }
}

/** @param {Map<string, number>} files @param {string[]} names */
function sum(files, names) {
  return names.reduce((bytes, name) => bytes + (files.get(name) ?? 0), 0);
}
