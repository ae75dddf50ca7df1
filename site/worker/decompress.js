// A file as it travelled to its content, a piece at a time, so that no second whole copy is in memory.

import { PesoLeveError } from '../js/errors.js';

/** @type {Promise<import('zstddec/stream').ZSTDDecoder> | null} */
let decoder = null;

/** @returns {Promise<import('zstddec/stream').ZSTDDecoder>} @throws {PesoLeveError} runtime_failed */
function zstd() {
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

const CHUNK = 1 << 20;

/** @param {Uint8Array} wire */
function* chunks(wire) {
  for (let at = 0; at < wire.length; at += CHUNK) yield wire.subarray(at, at + CHUNK);
}

/**
 * @param {Uint8Array} wire
 * @param {import('../js/catalog_types.js').File} file
 * @param {Uint8Array} content filled, exactly
 * @throws {PesoLeveError} file_truncated, runtime_failed
 */
export async function decompress(wire, { codec, path, role }, content) {
  const decoding = codec === 'identity' ? null : await zstd();
  let written = 0;
  try {
    // A decoder has one stream at a time; nothing waits between its pieces, so none meets another's.
    const pieces = decoding === null ? [wire] : decoding.decodeStreaming(chunks(wire));
    for (const piece of pieces) {
      if (written + piece.length > content.length) throw new Error('it is longer than that');
      content.set(piece, written);
      written += piece.length;
    }
    if (written !== content.length) throw new Error(`it ends after ${written}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${path} does not decode to ${content.length} bytes: ${reason}`;
    throw new PesoLeveError('file_truncated', message, { phase: role, cause: error });
  }
}
