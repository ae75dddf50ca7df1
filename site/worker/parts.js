// Weights in parts that are still on the disk: for little memory, where nothing is to be there but what is used.

import { lockName, onceReleased } from '../js/stored.js';
import { discard } from './memory.js';
import { openSync } from './opfs.js';

/**
 * @typedef {import('../js/protocol.js').Part} Part
 * @typedef {object} Opened
 * @property {string} sha256
 * @property {number} bytes
 * @property {(into: Uint8Array, at: number) => void} read
 * @property {() => void} close
 */

/** What `readPlanes` reads from. */
export class Parts {
  /** @param {Opened[]} parts in order */
  constructor(parts) {
    this.parts = parts;
  }

  /**
   * Nobody else reads, writes or deletes their files until they are closed.
   *
   * @param {Part[]} parts
   */
  static async open(parts) {
    const opened = new Parts([]);
    try {
      for (const part of parts) {
        // A file that is two parts is opened once: its lock is not granted twice.
        const same = opened.parts.find(({ sha256 }) => sha256 === part.sha256);
        opened.parts.push(same ?? (await openPart(part)));
      }
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** @param {number} start @param {number} end @returns {Uint8Array<ArrayBuffer>} of their own */
  read(start, end) {
    const out = new Uint8Array(end - start);
    let from = 0;
    for (const { bytes, read } of this.parts) {
      const [first, last] = [Math.max(start, from), Math.min(end, from + bytes)];
      if (first < last) read(out.subarray(first - start, last - start), first - from);
      from += bytes;
    }
    return out;
  }

  /** @param {Uint8Array} bytes */
  giveBack({ buffer }) {
    discard(/** @type {ArrayBuffer} */ (buffer));
  }

  close() {
    for (const { close } of new Set(this.parts)) close();
  }
}

/** @param {Part} part @returns {Promise<Opened>} */
async function openPart({ sha256, bytes, handle, content }) {
  if (handle === null) {
    return {
      sha256,
      bytes,
      read: (into, at) => into.set(content.subarray(at, at + into.length)),
      close() {},
    };
  }
  const release = await lock(lockName(sha256));
  try {
    const file = await onceReleased(async () => await openSync(handle));
    return {
      sha256,
      bytes,
      read(into, at) {
        if (file.read(into, { at }) === into.length) return;
        throw new Error(`${sha256} ends before byte ${at + into.length}`);
      },
      close() {
        file.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** @param {string} name @returns {Promise<() => void>} what releases it */
function lock(name) {
  if (navigator.locks === undefined) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, () => new Promise((release) => resolve(() => release(undefined))))
      .catch(reject);
  });
}
