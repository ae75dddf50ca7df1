// SHA-256: of what is whole by the browser, and of what is on its way a piece at a time, which the browser cannot.

/** @typedef {import('hash-wasm').IHasher} Hasher */

/** @returns {Promise<Hasher>} of nothing yet */
export async function startHash() {
  const { default: hashes } = await import('../vendor/hash/sha256.js');
  return await hashes.createSHA256();
}

/** @param {Uint8Array<ArrayBuffer>} content */
export async function sha256Of(content) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
