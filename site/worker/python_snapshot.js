// What Python's memory held when it had imported all that it may want: taken when the site was made
// (export/pesoleve/python_snapshot.mjs, which says how it is written), so that no visitor waits for imports.

import { discard } from './memory.js';

const LINE = 64;

export class Snapshot {
  /**
   * @param {Uint8Array} header which JS objects Python holds, as Pyodide takes it
   * @param {number} bytes of memory
   * @param {number} startBytes that WebAssembly starts with
   * @param {Uint32Array} gaps how many lines each line is after the one before
   * @param {Uint8Array<ArrayBuffer>} lines that differ from those
   */
  constructor(header, bytes, startBytes, gaps, lines) {
    this.header = header;
    this.bytes = bytes;
    this.startBytes = startBytes;
    this.gaps = gaps;
    this.lines = lines;
  }

  /** @param {string} url @throws when it is not there, or not whole */
  static async fetch(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const content = await response.arrayBuffer();
    const sizes = new Uint32Array(content.slice(0, content.byteLength < 16 ? 0 : 16));
    const [header = 0, bytes = 0, startBytes = 0, count = 0] = sizes;
    const gaps = 16 + header;
    const lines = gaps + 4 * count;
    if (count === 0 || content.byteLength !== lines + LINE * count) {
      throw new Error(`${url} is not whole: ${content.byteLength} bytes`);
    }
    return new Snapshot(
      new Uint8Array(content.slice(16, gaps)), // which Pyodide keeps, and with it what it is a part of
      bytes,
      startBytes,
      new Uint32Array(content, gaps, count),
      new Uint8Array(content, lines),
    );
  }

  /**
   * Write the whole memory, but touch only what is not zero: what is not touched costs a device nothing. What it is
   * written from is gone afterwards.
   *
   * @param {Uint8Array<ArrayBuffer>} memory
   * @param {Uint8Array} start what WebAssembly started with, before any of it ran
   */
  restore(memory, start) {
    const words = new Uint32Array(memory.buffer);
    for (let i = start.length >> 2; i < words.length; i++) if (words[i] !== 0) words[i] = 0;
    memory.set(start);
    let at = 0;
    for (let i = 0; i < this.gaps.length; i++) {
      at += LINE * /** @type {number} */ (this.gaps[i]);
      memory.set(this.lines.subarray(LINE * i, LINE * (i + 1)), at);
    }
    discard(this.lines.buffer);
  }
}
