// Where a model's files stay between visits: the origin's private file system, else the Cache API, else
// nowhere. A file is named by its sha256; it is whole when it has all its bytes, and whoever reads it
// verifies them, so that a crash at any moment leaves nothing worse than a file to go on with.

import { FOLDER, isInUse, onceReleased } from '../js/stored.js';
import { existing, isFull, isNotFound, openSync, writeAll } from './opfs.js';
import { canSettle, readSettled, settle, settledFile, settlingName } from './settled.js';

/** The file that asks for room; like every name with a dot, none of a model's. */
const ROOM = 'room.tmp';

/**
 * @typedef {object} Part  a file being written; what it holds outlives the page
 * @property {number} length bytes it holds
 * @property {string | null} etag what the server called the content it holds
 * @property {() => Uint8Array<ArrayBuffer>} read
 * @property {(chunk: Uint8Array) => void} append throws QuotaExceededError on a full disk
 * @property {(etag: string | null) => Promise<void>} restart empty it, for content of that name
 * @property {() => Promise<void>} finish it is whole and verified
 * @property {() => Promise<void>} close keep what it holds, if it holds anything
 *
 * @typedef {object} Store
 * @property {'opfs' | 'cache' | 'memory'} kind
 * @property {(sha256: string, content: Uint8Array<ArrayBuffer>) => Promise<boolean>} readSettled fill
 *   `content` with what the file decodes to, verified; false when that is not here
 * @property {(sha256: string, bytes: number) => Promise<Uint8Array<ArrayBuffer> | null>} read the whole
 *   file as it travels, not verified; null when it is not here
 * @property {(sha256: string) => Promise<number>} held bytes of the file that are here
 * @property {(bytes: number) => Promise<boolean>} hasRoom for so many bytes more
 * @property {(sha256: string) => Promise<Part | null>} open null where nothing partial can be kept
 * @property {(sha256: string, content: Uint8Array<ArrayBuffer>) => Promise<void>} keep a whole file, where
 *   no part was
 * @property {(sha256: string, bytes: number, content: Uint8Array<ArrayBuffer>) => Promise<void>} settle keep what
 *   it decodes to, in place of the file as it travels
 * @property {(sha256: string, bytes: number) => Promise<FileSystemFileHandle | null>} settled the file that begins with
 *   those bytes that it decodes to
 * @property {(sha256: string) => Promise<void>} remove
 */

/** @returns {Promise<Store>} the best that this browser has */
export async function openStore() {
  if (typeof FileSystemFileHandle !== 'undefined' && navigator.storage?.getDirectory) {
    try {
      const root = await navigator.storage.getDirectory();
      return opfsStore(await root.getDirectoryHandle(FOLDER, { create: true }));
    } catch (error) {
      // Private windows of some browsers have the functions and refuse the call.
      console.info('Peso Leve: no private file system here:', error);
    }
  }
  return typeof caches === 'undefined' ? memoryStore() : cacheStore(await caches.open(FOLDER));
}

/** @returns {Store} keeps nothing */
export function memoryStore() {
  return {
    kind: 'memory',
    readSettled: async () => false,
    read: async () => null,
    held: async () => 0,
    hasRoom: async () => true,
    open: async () => null,
    keep: async () => {},
    settle: async () => {},
    settled: async () => null,
    remove: async () => {},
  };
}

/** @param {Store} store @returns {Store} takes what is there, and keeps nothing more */
export function readOnly({ readSettled, read, held, settled, remove }) {
  return { ...memoryStore(), readSettled, read, held, settled, remove };
}

/** @param {Cache} cache @returns {Store} whole files only */
function cacheStore(cache) {
  const key = (/** @type {string} */ sha256) =>
    new URL(`./${FOLDER}/${sha256}`, self.location.href);
  return {
    ...memoryStore(),
    kind: 'cache',
    async read(sha256, bytes) {
      const found = await cache.match(key(sha256));
      const content = found && new Uint8Array(await found.arrayBuffer());
      return content?.length === bytes ? content : null;
    },
    async held(sha256) {
      const found = await cache.match(key(sha256));
      return Number(found?.headers.get('Content-Length') ?? 0);
    },
    hasRoom: isEstimatedToFit,
    async keep(sha256, content) {
      const headers = { 'Content-Length': String(content.length) };
      await cache.put(key(sha256), new Response(content, { headers }));
    },
    async remove(sha256) {
      await cache.delete(key(sha256));
    },
  };
}

/** @param {FileSystemDirectoryHandle} folder @returns {Store} */
function opfsStore(folder) {
  /** @param {string} name */
  const remove = async (name) => {
    try {
      await onceReleased(async () => await folder.removeEntry(name));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  return {
    kind: 'opfs',
    readSettled: async (sha256, content) => await readSettled(folder, sha256, content),
    async read(sha256, bytes) {
      const file = await contentOf(folder, sha256);
      return file?.size === bytes ? new Uint8Array(await file.arrayBuffer()) : null;
    },
    held: async (sha256) => (await contentOf(folder, sha256))?.size ?? 0,
    hasRoom: async (bytes) => (await isEstimatedToFit(bytes)) && (await fits(folder, bytes)),
    open: async (sha256) => await openPart(folder, sha256, remove),
    keep: async () => {},
    async settle(sha256, bytes, content) {
      if (canSettle(bytes, content)) await settle(folder, sha256, content);
    },
    settled: async (sha256, bytes) => await settledFile(folder, sha256, bytes),
    async remove(sha256) {
      for (const name of [sha256, etagName(sha256), settlingName(sha256)]) await remove(name);
    },
  };
}

/** @param {number} bytes @returns {Promise<boolean>} as far as the browser tells */
async function isEstimatedToFit(bytes) {
  const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  return bytes <= quota - usage;
}

/**
 * Ask the file system itself, by a file of that size that is never filled: an estimate is a guess, and in
 * Chromium a constant, that a page may not tell one visitor from another by.
 *
 * @param {FileSystemDirectoryHandle} folder
 * @param {number} bytes
 * @returns {Promise<boolean>}
 */
async function fits(folder, bytes) {
  /** @type {import('./opfs.js').SyncFile} */
  let file;
  try {
    file = await openSync(await folder.getFileHandle(ROOM, { create: true }));
  } catch (error) {
    if (isInUse(error)) return true; // another tab asks just now
    if (isFull(error)) return false;
    throw error;
  }
  try {
    file.truncate(bytes);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  } finally {
    file.truncate(0);
    file.close();
  }
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} sha256
 * @param {(name: string) => Promise<void>} remove
 * @returns {Promise<Part | null>} null when another tab has it open, or there is no room for its name
 */
async function openPart(folder, sha256, remove) {
  /** @type {import('./opfs.js').SyncFile} */
  let file;
  try {
    const handle = await folder.getFileHandle(sha256, { create: true });
    file = await onceReleased(async () => await openSync(handle));
  } catch (error) {
    if (isInUse(error) || isFull(error)) return null;
    throw error;
  }
  let length = file.getSize();
  const known = await contentOf(folder, etagName(sha256));
  let etag = known === null ? null : await known.text();
  return {
    get length() {
      return length;
    },
    get etag() {
      return etag;
    },
    read() {
      const content = new Uint8Array(length);
      file.read(content, { at: 0 });
      return content;
    },
    append(chunk) {
      writeAll(file, chunk, length);
      length += chunk.length;
    },
    async restart(name) {
      file.truncate(0);
      length = 0;
      etag = name;
      await remove(etagName(sha256));
      if (name === null) return;
      const mark = await folder.getFileHandle(etagName(sha256), { create: true });
      const writing = await openSync(mark);
      try {
        writing.write(new TextEncoder().encode(name));
      } finally {
        writing.close();
      }
    },
    async finish() {
      file.flush();
      file.close();
      await remove(etagName(sha256));
    },
    async close() {
      file.flush();
      file.close();
      if (length > 0) return;
      await remove(sha256);
      await remove(etagName(sha256));
    },
  };
}

/** @param {string} sha256 */
function etagName(sha256) {
  return `${sha256}.etag`;
}

/** @param {FileSystemDirectoryHandle} folder @param {string} name @returns {Promise<File | null>} */
async function contentOf(folder, name) {
  return (await (await existing(folder, name))?.getFile()) ?? null;
}
