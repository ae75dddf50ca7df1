// A file on its way, to whoever decodes it and, where there is a part, to the disk, hashed as it comes: one
// request after another, each from the byte that was reached.

import { PesoLeveError } from '../js/errors.js';
import { isFull } from './opfs.js';
import { attempts } from './retry.js';

/**
 * @typedef {import('../js/catalog_types.js').File} File
 * @typedef {import('./download.js').Patience} Patience
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Part} Part
 * @typedef {object} Sink  takes the file's bytes, in order
 * @property {(bytes: Uint8Array) => void} write
 * @property {() => void} restart the first byte is next
 */

export class Arrival {
  /**
   * @param {string} url
   * @param {File} file
   * @param {Part | null} part
   * @param {{sink: Sink, hash: import('./hash.js').Hasher, whole: boolean,
   *   onBytes: (loaded: number) => void}} options `whole`: the store takes the file only when it is
   */
  constructor(url, file, part, { sink, hash, whole, onBytes }) {
    this.url = url;
    this.file = file;
    this.part = part;
    this.onBytes = onBytes;
    this.sink = sink;
    this.hash = hash;
    this.content = whole ? new Uint8Array(file.bytes) : null;
    /** Bytes that came over the network. */
    this.crossed = 0;
    /** Bytes that are here, from the first on. */
    this.loaded = 0;
    /** Whether they are of more than one answer, which need not be of the same content. */
    this.pieced = false;
    /** What the server said the content is, where that explains a wrong one. */
    this.remark = '';
    if (part !== null && part.length <= file.bytes) {
      this.take(part.read());
      this.pieced = this.loaded > 0;
    }
    onBytes(this.loaded);
  }

  /** Begin anew. @param {string | null} etag of what is to come */
  async restart(etag) {
    this.loaded = 0;
    this.pieced = false;
    this.sink.restart();
    this.hash.init();
    await this.onDisk(async (part) => await part.restart(etag));
  }

  /** Fetch what is missing. @param {Patience} patience @throws {PesoLeveError} download_failed, file_truncated, hash_mismatch */
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
    /** @type {Record<string, string>} */
    const headers = {};
    if (this.loaded > 0) {
      headers.Range = `bytes=${this.loaded}-`;
      const etag = this.part?.etag ?? '';
      // A weak one says nothing about bytes, and must not be sent (RFC 9110, 13.1.5).
      if (etag.startsWith('"')) headers['If-Range'] = etag;
    }
    const stalled = new AbortController();
    const giveUp = () => stalled.abort(new Error(`no byte came for ${stall} s`));
    let timer = setTimeout(giveUp, 1000 * stall);
    try {
      // The store keeps it, or nothing does: a copy in the HTTP cache would cost the disk twice, and would
      // be served again if it were a wrong one.
      const response = await fetch(url, { headers, cache: 'no-store', signal: stalled.signal });
      const { body } = response;
      if (response.status === 416) await this.restart(null);
      if (!response.ok || body === null) {
        await body?.cancel();
        throw refused(url, file, response);
      }
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
      if (this.loaded < file.bytes) {
        const error = this.short(response);
        if (this.remark !== '') await this.restart(null); // nothing to go on with
        throw error;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Where the response's bytes belong: at the end of what is here, or in its place. @param {Response} response */
  async place(response) {
    const type = response.headers.get('Content-Type') ?? '';
    this.remark = type.startsWith('text/html') ? ': the server sent a web page in its place' : '';
    const range = /^bytes (\d+)-/.exec(response.headers.get('Content-Range') ?? '');
    if (response.status === 206 && Number(range?.[1] ?? -1) === this.loaded) {
      this.pieced = true;
      return;
    }
    if (response.status === 206 && Number(range?.[1] ?? -1) !== 0) {
      await response.body?.cancel();
      await this.restart(null);
      const message = `${this.url} answered with another range than was asked for`;
      throw new PesoLeveError('download_failed', message, {
        phase: this.file.role,
        retryable: true,
      });
    }
    const etag = response.headers.get('ETag');
    const { part } = this;
    if (this.loaded > 0 || (part !== null && (part.length > 0 || part.etag !== etag))) {
      await this.restart(etag);
    }
  }

  /** @returns {string} the hash of what is here, which is asked for once: `restart` makes a new one */
  sha256() {
    return this.hash.digest();
  }

  /** @param {Uint8Array} bytes the next */
  take(bytes) {
    this.content?.set(bytes, this.loaded);
    this.hash.update(bytes);
    this.sink.write(bytes);
    this.loaded += bytes.length;
  }

  /** @param {Uint8Array<ArrayBuffer>} chunk */
  async add(chunk) {
    this.take(chunk);
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
      await part.close();
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
    if (this.content === null) return false;
    try {
      await store.keep(this.file.sha256, this.content);
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      return false;
    }
  }

  /** What has come stays on the disk. */
  async close() {
    const { part } = this;
    this.part = null;
    await part?.close();
  }

  /** The body ended early: the connection's fault, or is the file itself short? @param {Response} response */
  short({ status, headers }) {
    const { url, file } = this;
    const total = /\/(\d+)$/.exec(headers.get('Content-Range') ?? '')?.[1];
    // The length of what was compressed on the way says nothing of the file.
    const plain = status !== 206 && !headers.has('Content-Encoding');
    const length = total ?? (plain ? headers.get('Content-Length') : null);
    const atFault = this.remark !== '' || (length !== null && Number(length) < file.bytes);
    const message = `${url} ended after ${this.loaded} of ${file.bytes} bytes${this.remark}`;
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
