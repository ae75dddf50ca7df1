// Fetch a model's files, and hand over only what is whole and unchanged.

import { aborted, PesoLeveError } from './errors.js';

/**
 * @typedef {import('./catalog_types.js').File} File
 * @typedef {{role: string, path: string, bytes: number, decodedBytes: number, start: number,
 *   seconds: number}} Downloaded  `start` in seconds on the page's clock
 */

/**
 * @param {string} url
 * @param {File} file what the catalog says it is
 * @param {{signal?: AbortSignal | undefined, onBytes?: (loaded: number) => void}} [options]
 * @returns {Promise<{content: Uint8Array<ArrayBuffer>, downloaded: Downloaded}>}
 * @throws {PesoLeveError} download_failed, file_truncated, hash_mismatch, insecure_context, aborted
 */
export async function download(url, file, { signal, onBytes = () => {} } = {}) {
  if (!globalThis.crypto?.subtle) {
    throw new PesoLeveError(
      'insecure_context',
      'Files can be verified only over HTTPS or on localhost.',
    );
  }
  const begun = performance.now();
  const content = new Uint8Array(file.bytes);
  let loaded = 0;
  try {
    const response = await fetch(url, { signal: signal ?? null });
    if (!response.ok || response.body === null) {
      const retryable = response.status >= 500 || response.status === 429;
      throw new PesoLeveError('download_failed', `${url} answered ${response.status}`, {
        phase: file.role,
        retryable,
      });
    }
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      if (value === undefined) continue;
      if (loaded + value.length > file.bytes) {
        await reader.cancel();
        throw new PesoLeveError('hash_mismatch', `${url} is longer than ${file.bytes} bytes`, {
          phase: file.role,
        });
      }
      content.set(value, loaded);
      loaded += value.length;
      onBytes(loaded);
    }
  } catch (error) {
    if (signal?.aborted) throw aborted();
    if (error instanceof PesoLeveError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new PesoLeveError('download_failed', `${url}: ${message}`, {
      phase: file.role,
      retryable: true,
      cause: error,
    });
  }
  if (loaded !== file.bytes) {
    throw new PesoLeveError(
      'file_truncated',
      `${url} ended after ${loaded} of ${file.bytes} bytes`,
      {
        phase: file.role,
        retryable: true,
      },
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (sha256 !== file.sha256) {
    throw new PesoLeveError('hash_mismatch', `${url} has sha256 ${sha256}, not ${file.sha256}`, {
      phase: file.role,
    });
  }
  const { role, path, bytes, decoded_bytes: decodedBytes } = file;
  const seconds = (performance.now() - begun) / 1000;
  return { content, downloaded: { role, path, bytes, decodedBytes, start: begun / 1000, seconds } };
}
