// SHA-256: of what is whole by the browser, and of what is on its way a piece at a time, which the browser cannot.

import { PesoLeveError } from '../js/errors.js';

/** @typedef {import('hash-wasm').IHasher} Hasher */

/** @returns {Promise<Hasher>} of nothing yet @throws {PesoLeveError} runtime_failed */
export async function startHash() {
  try {
    const { default: hashes } = await import('../vendor/hash/sha256.js');
    return await hashes.createSHA256();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const details = { cause: error };
    throw new PesoLeveError('runtime_failed', `SHA-256 did not start: ${message}`, details);
  }
}

/** @param {Uint8Array<ArrayBuffer>} content */
export async function sha256Of(content) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
