// A file that has come whole stays as what it decodes to, and the SHA-256 of that behind it: a later visit reads it
// straight to where it belongs, and decodes nothing. By its length it is told from a file as it travels.

import { onceReleased } from '../js/stored.js';
import { existing, isFull, openSync, writeAll } from './opfs.js';

const DIGEST = 32;

/** Whether no file as it travels is taken for a settled one. @param {number} bytes @param {Uint8Array} content */
export function canSettle(bytes, content) {
  return content.length + DIGEST > bytes;
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} content filled
 * @returns {Promise<boolean>} whether it was there, and is what it was
 */
export async function readSettled(folder, name, content) {
  const handle = await existing(folder, name);
  if (handle === null || (await handle.getFile()).size !== content.length + DIGEST) return false;
  const digest = new Uint8Array(DIGEST);
  const file = await onceReleased(async () => await openSync(handle));
  try {
    file.read(content, { at: 0 });
    file.read(digest, { at: content.length });
  } finally {
    file.close();
  }
  const found = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return found.every((byte, i) => byte === digest[i]);
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {number} bytes
 * @returns {Promise<FileSystemFileHandle | null>} of what begins with so many bytes, not verified; null when they are not
 *   there
 */
export async function settledFile(folder, name, bytes) {
  const handle = await existing(folder, name);
  return (await handle?.getFile())?.size === bytes + DIGEST ? handle : null;
}

/**
 * Put what a verified file decodes to in its place; on a full disk, or where files cannot be renamed, it stays as it
 * travelled. A browser that is killed meanwhile finds the one or the other.
 *
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} content
 */
export async function settle(folder, name, content) {
  const beside = settlingName(name);
  try {
    // A full disk may have no room for a name either.
    const handle = /** @type {FileSystemFileHandle & {move?: (name: string) => Promise<void>}} */ (
      await folder.getFileHandle(beside, { create: true })
    );
    if (handle.move === undefined) return;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
    const file = await openSync(handle);
    try {
      file.truncate(0);
      writeAll(file, content, 0);
      writeAll(file, digest, content.length);
      file.flush();
    } finally {
      file.close();
    }
    await onceReleased(async () => await handle.move?.(name));
  } catch (error) {
    if (!isFull(error)) throw error;
  } finally {
    if ((await existing(folder, beside)) !== null) await folder.removeEntry(beside);
  }
}

/** @param {string} name */
export function settlingName(name) {
  return `${name}.settling`;
}
