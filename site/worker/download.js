// One file from the store or the network: resumed where it stopped, tried again when that can help, and
// kept, and said to be here, only when its sha256 is right.

import { PesoLeveError } from '../js/errors.js';
import { lockName } from '../js/stored.js';
import { Arrival } from './arrival.js';
import { sha256Of, startHash } from './hash.js';

/**
 * @typedef {import('../js/catalog_types.js').File} File
 * @typedef {import('./store.js').Store} Store
 * @typedef {{from: 'network' | 'disk', bytes: number, kept: boolean, start: number, seconds: number}} Downloaded
 *    `bytes` crossed the network now; `start` in seconds
 *   since the epoch; `kept` for the next visit
 * @typedef {object} Patience
 * @property {number} attempts in a row without a byte of progress before it is given up
 * @property {number} firstDelay seconds, at most, before the second; doubles each time
 * @property {number} stall seconds without a byte after which a connection is given up
 *
 * @typedef {{store: Store, patience: Patience, sink: import('./decompress.js').Decompression,
 *   onBytes: (loaded: number) => void}} DownloadOptions  `sink` takes the bytes as they come, before they are
 *   known to be right; its content is what is wanted
 */

/**
 * @param {string} url
 * @param {File} file what the catalog says it is
 * @param {DownloadOptions} options
 * @returns {Promise<Downloaded>}
 * @throws {PesoLeveError} download_failed, file_truncated, hash_mismatch, runtime_failed
 */
export async function download(url, file, options) {
  // Two tabs that want the same file take turns; the second finds it.
  if (navigator.locks === undefined) return await downloadAlone(url, file, options);
  return await navigator.locks.request(
    lockName(file.sha256),
    async () => await downloadAlone(url, file, options),
  );
}

/** @param {string} url @param {File} file @param {DownloadOptions} options @returns {Promise<Downloaded>} */
async function downloadAlone(url, file, { store, patience, sink, onBytes }) {
  const { content } = sink;
  const begun = performance.now();
  const done = (/** @type {number} */ bytes, /** @type {boolean} */ kept) => ({
    /** @type {'network' | 'disk'} */
    from: bytes > 0 ? 'network' : 'disk',
    bytes,
    kept,
    start: (performance.timeOrigin + begun) / 1000,
    seconds: (performance.now() - begun) / 1000,
  });
  if (await store.readSettled(file.sha256, content)) {
    onBytes(file.bytes);
    return done(0, true);
  }
  const here = await store.read(file.sha256, file.bytes);
  if (here !== null) {
    if ((await sha256Of(here)) === file.sha256) {
      sink.write(here);
      sink.finish();
      onBytes(file.bytes);
      await store.settle(file.sha256, file.bytes, content);
      return done(0, true);
    }
    await store.remove(file.sha256); // it went bad where it lay
  }
  const hash = await startHash();
  const part = await store.open(file.sha256);
  const whole = store.kind === 'cache';
  const arrival = new Arrival(url, file, part, { sink, hash, whole, onBytes });
  try {
    await arrival.complete(patience);
    let sha256 = arrival.sha256();
    if (arrival.pieced && sha256 !== file.sha256) {
      // A piece of it, from an earlier visit or another answer, may be what is wrong: once more, whole.
      await arrival.restart(null);
      await arrival.complete(patience);
      sha256 = arrival.sha256();
    }
    if (sha256 !== file.sha256) {
      await arrival.restart(null);
      const message = `${url} has sha256 ${sha256}, not ${file.sha256}${arrival.remark}`;
      throw new PesoLeveError('hash_mismatch', message, { phase: file.role });
    }
    sink.finish();
    const kept = await arrival.keep(store);
    if (kept) await store.settle(file.sha256, file.bytes, content);
    return done(arrival.crossed, kept);
  } finally {
    await arrival.close();
  }
}
