// The origin's private file system, as the store uses it: one folder, and files by name.

/**
 * @typedef {object} SyncFile  FileSystemSyncAccessHandle, which TypeScript knows in workers alone
 * @property {() => number} getSize
 * @property {(into: Uint8Array, options: {at: number}) => number} read
 * @property {(from: Uint8Array, options?: {at: number}) => number} write
 * @property {(bytes: number) => void} truncate
 * @property {() => void} flush
 * @property {() => void} close
 */

/** @param {FileSystemFileHandle} handle @returns {Promise<SyncFile>} */
export async function openSync(handle) {
  return await /** @type {any} */ (handle).createSyncAccessHandle();
}

/** @param {FileSystemDirectoryHandle} folder @param {string} name @returns {Promise<FileSystemFileHandle | null>} */
export async function existing(folder, name) {
  try {
    return await folder.getFileHandle(name);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/**
 * @param {SyncFile} file @param {Uint8Array} bytes @param {number} at
 * @throws {DOMException} QuotaExceededError
 */
export function writeAll(file, bytes, at) {
  const written = file.write(bytes, { at });
  // Chromium's private windows say that all is written where there was no room for it.
  if (written < bytes.length || file.getSize() < at + written) {
    throw new DOMException('the disk is full', 'QuotaExceededError');
  }
}

/** @param {unknown} error */
export function isNotFound(error) {
  return error instanceof DOMException && error.name === 'NotFoundError';
}

/** @param {unknown} error */
export function isFull(error) {
  return error instanceof DOMException && error.name === 'QuotaExceededError';
}
