// Decompress what arrived, and expand weights, beside the worker that boots Python and the runtime.
// Speaks the envelopes of js/protocol.js: `decode` and `expand` are answered by one `result` or `error`.

import { VERSION } from '../js/protocol.js';
import { expand } from './expand.js';
import { fetchedFiles } from './resource_progress.js';

/** @typedef {import('../js/protocol.js').DecodePayload} DecodePayload */

/** @type {Promise<import('zstddec/stream').ZSTDDecoder> | null} */
let decoder = null;

/** @returns {Promise<import('zstddec/stream').ZSTDDecoder>} */
function zstd() {
  decoder ??= (async () => {
    const { ZSTDDecoder } = await import('../vendor/zstd/zstddec.js');
    const opened = new ZSTDDecoder();
    await opened.init();
    return opened;
  })();
  return decoder;
}

const CHUNK = 1 << 20;
let reported = 0;

/** What this worker fetched since it was last asked. */
function newlyFetched() {
  const all = fetchedFiles();
  const fresh = all.slice(reported);
  reported = all.length;
  return fresh;
}

/** @param {Uint8Array} wire */
function* chunks(wire) {
  for (let at = 0; at < wire.length; at += CHUNK) yield wire.subarray(at, at + CHUNK);
}

/**
 * @param {DecodePayload} payload
 * @returns {Promise<Uint8Array>} of `decodedBytes`
 */
async function decode({ wire, codec, decodedBytes }) {
  if (codec === 'identity') return wire;
  const opened = await zstd();
  const content = new Uint8Array(decodedBytes);
  let written = 0;
  // A piece at a time, so that no second whole copy lives in the decoder's memory.
  for (const piece of opened.decodeStreaming(chunks(wire))) {
    if (written + piece.length > decodedBytes) throw new Error(`more than ${decodedBytes} bytes`);
    content.set(piece, written);
    written += piece.length;
  }
  if (written !== decodedBytes) throw new Error(`${written} bytes, not ${decodedBytes}`);
  return content;
}

self.addEventListener('message', async ({ data: { id, type, payload } }) => {
  const begun = performance.now();
  try {
    const content = await decode(payload);
    const decoded = performance.now();
    if (type === 'decode') {
      const value = {
        content,
        seconds: { decode: (decoded - begun) / 1000 },
        fetched: newlyFetched(),
      };
      self.postMessage(
        { v: VERSION, id, type: 'result', value },
        { transfer: [/** @type {ArrayBuffer} */ (content.buffer)] },
      );
      return;
    }
    // The small layout is made a tensor at a time, when the session takes it.
    const files = payload.layout === null ? [] : expand(content, payload.layout);
    const seconds = {
      decode: (decoded - begun) / 1000,
      expand: (performance.now() - decoded) / 1000,
    };
    // Planes are worth their memory only where another device may want another layout of them.
    const planes = payload.keepPlanes ? content : null;
    const value = {
      files: payload.layout === null ? null : files,
      planes,
      seconds,
      fetched: newlyFetched(),
    };
    const buffers = /** @type {Set<ArrayBuffer>} */ (
      new Set([...files.map(({ data }) => data.buffer), ...(planes ? [planes.buffer] : [])])
    );
    self.postMessage({ v: VERSION, id, type: 'result', value }, { transfer: [...buffers] });
  } catch (error) {
    const message = `the file does not decode: ${error instanceof Error ? error.message : error}`;
    const report = {
      code: 'file_truncated',
      message,
      phase: 'decode',
      retryable: false,
      traceback: '',
    };
    self.postMessage({ v: VERSION, id, type: 'error', error: report });
  }
});
