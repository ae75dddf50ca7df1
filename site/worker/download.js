// One file from the store or the network: resumed where it stopped, tried again when that can help, and
// handed over only when its sha256 is right.

import { PesoLeveError } from '../js/errors.js';
import { attempts } from './retry.js';
import { isFull } from './store.js';

/**
 * @typedef {import('../js/catalog_types.js').File} File
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Part} Part
 * @typedef {{content: Uint8Array<ArrayBuffer>, from: 'network' | 'disk', bytes: number, kept: boolean,
 *   start: number, seconds: number}} Downloaded  `bytes` crossed the network now; `start` in seconds
 *   since the epoch; `kept` for the next visit
 * @typedef {object} Patience
 * @property {number} attempts in a row without a byte of progress before it is given up
 * @property {number} firstDelay seconds, at most, before the second; doubles each time
 * @property {number} stall seconds without a byte after which a connection is given up
 *
 * @typedef {{store: Store, patience: Patience, onBytes: (loaded: number) => void}} DownloadOptions
 */

/**
 * @param {string} url
 * @param {File} file what the catalog says it is
 * @param {DownloadOptions} options
 * @returns {Promise<Downloaded>}
 * @throws {PesoLeveError} download_failed, file_truncated, hash_mismatch
 */
export async function download(url, file, options) {
  // Two tabs that want the same file take turns; the second finds it.
  if (navigator.locks === undefined) return await downloadAlone(url, file, options);
  return await navigator.locks.request(
    `pesoleve:${file.sha256}`,
    async () => await downloadAlone(url, file, options),
  );
}

/** @param {string} url @param {File} file @param {DownloadOptions} options @returns {Promise<Downloaded>} */
async function downloadAlone(url, file, { store, patience, onBytes }) {
  const begun = performance.now();
  const done = (
    /** @type {Uint8Array<ArrayBuffer>} */ content,
    /** @type {number} */ bytes,
    /** @type {boolean} */ kept,
  ) => ({
    content,
    /** @type {'network' | 'disk'} */
    from: bytes > 0 ? 'network' : 'disk',
    bytes,
    kept,
    start: (performance.timeOrigin + begun) / 1000,
    seconds: (performance.now() - begun) / 1000,
  });
  const here = await store.read(file.sha256, file.bytes);
  if (here !== null) {
    if ((await sha256Of(here)) === file.sha256) {
      onBytes(file.bytes);
      return done(here, 0, true);
    }
    await store.remove(file.sha256); // it went bad where it lay
  }
  const arrival = new Arrival(url, file, await store.open(file.sha256), onBytes);
  try {
    const resumed = arrival.loaded > 0;
    await arrival.complete(patience);
    if (resumed && (await arrival.sha256()) !== file.sha256) {
      // What an earlier visit left may be what is wrong: once more, from the first byte.
      await arrival.restart(null);
      await arrival.complete(patience);
    }
    const sha256 = await arrival.sha256();
    if (sha256 !== file.sha256) {
      await arrival.restart(null);
      const message = `${url} has sha256 ${sha256}, not ${file.sha256}${arrival.remark}`;
      throw new PesoLeveError('hash_mismatch', message, { phase: file.role });
    }
    const kept = await arrival.keep(store);
    return done(arrival.content, arrival.crossed, kept);
  } finally {
    arrival.close();
  }
}

/** @param {Uint8Array<ArrayBuffer>} content */
async function sha256Of(content) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A file on its way, in memory and, where there is a part, on disk. */
class Arrival {
  /** @param {string} url @param {File} file @param {Part | null} part @param {(loaded: number) => void} onBytes */
  constructor(url, file, part, onBytes) {
    this.url = url;
    this.file = file;
    this.part = part;
    this.onBytes = onBytes;
    this.content = new Uint8Array(file.bytes);
    this.crossed = 0;
    this.loaded = 0;
    /** What the server said the content is, where that explains a wrong hash. */
    this.remark = '';
    if (part !== null && part.length > 0 && part.length <= file.bytes) {
      this.content.set(part.read());
      this.loaded = part.length;
    }
    onBytes(this.loaded);
  }

  async sha256() {
    return await sha256Of(this.content);
  }

  /** Begin anew. @param {string | null} etag of what is to come */
  async restart(etag) {
    this.loaded = 0;
    await this.onDisk(async (part) => await part.restart(etag));
  }

  /** Fetch what is missing. @param {Patience} patience */
  async complete(patience) {
    const { file } = this;
    for (const attempt = attempts(patience); this.loaded < file.bytes; ) {
      const before = this.loaded;
      try {
        await this.fetchRest(patience.stall);
      } catch (error) {
        const known = this.asError(error);
        if (!known.retryable) throw known;
        if (this.loaded > before) attempt.reset();
        await attempt.next(known);
      }
    }
  }

  /** One request, from the byte that was reached. @param {number} stall seconds */
  async fetchRest(stall) {
    const { url, file } = this;
    const etag = this.part?.etag ?? null;
    /** @type {Record<string, string>} */
    const headers = {};
    if (this.loaded > 0) {
      headers.Range = `bytes=${this.loaded}-`;
      if (etag !== null) headers['If-Range'] = etag;
    }
    const stalled = new AbortController();
    const giveUp = () => stalled.abort(new Error(`no byte came for ${stall} s`));
    let timer = setTimeout(giveUp, 1000 * stall);
    try {
      // The store keeps it: a copy in the HTTP cache would cost the disk twice.
      const cache = this.part === null ? 'default' : 'no-store';
      const response = await fetch(url, { headers, cache, signal: stalled.signal });
      const { body } = response;
      if (response.status === 416) await this.restart(null);
      if (!response.ok || body === null) throw refused(url, file, response);
      await this.place(response);
      const reader = body.getReader();
      for (;;) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, 1000 * stall);
        const { done, value } = await reader.read();
        if (done) break;
        if (this.loaded + value.length > file.bytes) {
          await reader.cancel();
          await this.restart(null);
          const message = `${url} is longer than ${file.bytes} bytes${this.remark}`;
          throw new PesoLeveError('hash_mismatch', message, { phase: file.role });
        }
        await this.add(value);
      }
      if (this.loaded < file.bytes) throw this.short(response);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where the response's bytes belong: at the end of what is here, or in its place. @param {Response} response */
  async place(response) {
    const type = response.headers.get('Content-Type') ?? '';
    this.remark = type.startsWith('text/html') ? ': the server sent a web page in its place' : '';
    const range = /^bytes (\d+)-/.exec(response.headers.get('Content-Range') ?? '');
    if (response.status === 206 && Number(range?.[1] ?? -1) === this.loaded) return;
    if (response.status === 206 && Number(range?.[1] ?? -1) !== 0) {
      await response.body?.cancel();
      await this.restart(null);
      const message = `${this.url} answered with another range than was asked for`;
      throw new PesoLeveError('download_failed', message, {
        phase: this.file.role,
        retryable: true,
      });
    }
    if (this.loaded > 0 || response.headers.get('ETag') !== this.part?.etag) {
      await this.restart(response.headers.get('ETag'));
    }
  }

  /** @param {Uint8Array<ArrayBuffer>} chunk */
  async add(chunk) {
    this.content.set(chunk, this.loaded);
    this.loaded += chunk.length;
    this.crossed += chunk.length;
    await this.onDisk(async (part) => part.append(chunk));
    this.onBytes(this.loaded);
  }

  /** @param {(part: Part) => Promise<void>} work on a full disk, memory alone goes on */
  async onDisk(work) {
    if (this.part === null) return;
    try {
      await work(this.part);
    } catch (error) {
      if (!isFull(error)) throw error;
      const { part } = this;
      this.part = null;
      await part.restart(null); // what is there already is room for somebody else
      part.close();
    }
  }

  /** @param {Store} store @returns {Promise<boolean>} whether the next visit will find it */
  async keep(store) {
    const { part } = this;
    if (part !== null) {
      this.part = null;
      await part.finish();
      return true;
    }
    if (store.kind !== 'cache') return false;
    try {
      await store.keep(this.file.sha256, this.content);
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }

  close() {
    this.part?.close();
    this.part = null;
  }

  /** The body ended early: the connection's fault, or is the file itself short? @param {Response} response */
  short(response) {
    const { url, file } = this;
    const total = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1];
    const whole = Number(total ?? response.headers.get('Content-Length') ?? file.bytes);
    const message = `${url} ended after ${this.loaded} of ${file.bytes} bytes${this.remark}`;
    const atFault = response.status !== 206 || total !== undefined ? whole < file.bytes : false;
    return new PesoLeveError('file_truncated', message, { phase: file.role, retryable: !atFault });
  }

  /** @param {unknown} error */
  asError(error) {
    if (error instanceof PesoLeveError) return error;
    const message = error instanceof Error ? error.message : String(error);
    const details = { phase: this.file.role, retryable: true, cause: error };
    return new PesoLeveError('download_failed', `${this.url}: ${message}`, details);
  }
}

/** @param {string} url @param {File} file @param {Response} response */
function refused(url, file, { status, headers }) {
  const retryable = status >= 500 || status === 429 || status === 408 || status === 416;
  const remark = retryable ? '' : ': it is in the catalog, and not where the catalog says';
  const error = new PesoLeveError('download_failed', `${url} answered ${status}${remark}`, {
    phase: file.role,
    retryable,
  });
  return Object.assign(error, { retryAfter: headers.get('Retry-After') });
}
