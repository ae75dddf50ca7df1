// A file as it travels to its content, a piece at a time and as the pieces come, so that no second whole copy
// is in memory, and little is left to do when the last byte is here.

import { PesoLeveError } from '../js/errors.js';

/** @typedef {import('../js/catalog_types.js').File} File */

/** @type {Promise<import('zstddec/stream').ZSTDDecoder> | null} */
let decoder = null;

/** @returns {Promise<import('zstddec/stream').ZSTDDecoder>} @throws {PesoLeveError} runtime_failed */
export function zstd() {
  decoder ??= (async () => {
    const { ZSTDDecoder } = await import('../vendor/zstd/zstddec.js');
    const opened = new ZSTDDecoder();
    await opened.init();
    return opened;
  })().catch((error) => {
    decoder = null;
    const message = error instanceof Error ? error.message : String(error);
    throw new PesoLeveError('runtime_failed', `zstd did not start: ${message}`, { cause: error });
  });
  return decoder;
}

/** What the decoder copies into its own memory at once. */
const CHUNK = 1 << 20;

/** Fills `content` with what a file decodes to, while the file comes. */
export class Decompression {
  /**
   * @param {File} file
   * @param {Uint8Array<ArrayBuffer>} content filled, exactly
   * @param {import('zstddec/stream').ZSTDDecoder | null} decoder null where nothing was compressed
   */
  constructor(file, content, decoder) {
    this.file = file;
    this.content = content;
    this.decoder = decoder;
    this.seconds = 0;
    this.written = 0;
    this.restart();
  }

  /** @param {File} file @param {Uint8Array<ArrayBuffer>} content @throws {PesoLeveError} runtime_failed */
  static async open(file, content) {
    return new Decompression(file, content, file.codec === 'identity' ? null : await zstd());
  }

  /** Forget what came: the first byte is next. */
  restart() {
    this.pieces?.return?.(undefined);
    this.written = 0;
    this.idle = false;
    /** @type {Uint8Array[]} */
    this.waiting = [];
    /** Of what is wrong, nothing is said before it is known that these are the right bytes. @type {unknown} */
    this.fault = null;
    const { waiting } = this;
    this.pieces = this.decoder?.decodeStreaming(taken(waiting));
  }

  /** @param {Uint8Array} bytes the next */
  write(bytes) {
    if (this.fault !== null) return;
    const begun = performance.now();
    try {
      if (this.pieces === undefined) this.keep(bytes);
      else {
        for (let at = 0; at < bytes.length; at += CHUNK) {
          this.waiting.push(bytes.subarray(at, at + CHUNK));
          // A step asks for at most one chunk more, which is here.
          while (this.waiting.length > 0) this.step(this.pieces);
        }
      }
    } catch (error) {
      this.fault = error;
    }
    this.seconds += (performance.now() - begun) / 1000;
  }

  /** Every byte is here, and is right. @throws {PesoLeveError} file_truncated */
  finish() {
    const begun = performance.now();
    try {
      if (this.fault !== null) throw this.fault;
      while (this.pieces !== undefined && this.step(this.pieces));
      if (this.written !== this.content.length) throw new Error(`it ends after ${this.written}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const { path, role } = this.file;
      const message = `${path} does not decode to ${this.content.length} bytes: ${reason}`;
      throw new PesoLeveError('file_truncated', message, { phase: role, cause: error });
    }
    this.seconds += (performance.now() - begun) / 1000;
  }

  /** @param {Generator<Uint8Array>} pieces @returns {boolean} whether there may be more */
  step(pieces) {
    const before = this.waiting.length;
    const { value, done } = pieces.next();
    if (done) return false;
    // zstddec does not look at the decoder's errors, after which it neither takes nor gives anything.
    const idle = value.length === 0;
    if (idle && this.idle && this.waiting.length === before) throw new Error('it is not zstd');
    this.idle = idle;
    this.keep(value);
    return true;
  }

  /** @param {Uint8Array} piece of the content */
  keep(piece) {
    if (this.written + piece.length > this.content.length)
      throw new Error('it is longer than that');
    this.content.set(piece, this.written);
    this.written += piece.length;
  }
}

/** @param {Uint8Array[]} waiting @returns {Generator<Uint8Array>} each once, as long as there are any */
function* taken(waiting) {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next;
}
