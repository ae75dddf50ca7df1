// What Python's memory held when it had imported all that it may want: taken when the site was made
// (export/pesoleve/python_snapshot.mjs, which says how it is written), so that no visitor waits for imports.

const LINE = 64;

/**
 * @typedef {object} Snapshot
 * @property {Uint8Array} memory as Pyodide takes it, once it is whole
 * @property {(heap: Uint8Array) => void} complete by what WebAssembly starts with
 */

/** @param {string} url @returns {Promise<Snapshot>} @throws when it is not there, or not whole */
export async function fetchSnapshot(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const content = await response.arrayBuffer();
  const sizes = new Uint32Array(content.slice(0, 16));
  const [header = 0, bytes = 0, start = 0, count = 0] = sizes;
  const lines = 16 + header + 4 * count;
  if (sizes.length < 4 || content.byteLength !== lines + LINE * count) {
    throw new Error(`${url} is not whole: ${content.byteLength} bytes`);
  }
  const memory = new Uint8Array(header + bytes);
  memory.set(new Uint8Array(content, 16, header));
  const gaps = new Uint32Array(content, 16 + header, count);
  return {
    memory,
    complete(heap) {
      memory.set(heap.subarray(0, start), header);
      let at = header;
      for (let i = 0; i < count; i++) {
        at += LINE * /** @type {number} */ (gaps[i]);
        memory.set(new Uint8Array(content, lines + LINE * i, LINE), at);
      }
    },
  };
}
