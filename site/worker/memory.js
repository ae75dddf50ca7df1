// How large the WebAssembly heaps are. `performance.measureUserAgentSpecificMemory` does not count an
// unshared heap, so ONNX Runtime's, which is made in JS, is remembered here when it is made. Pyodide's is
// made by its own module, which tells.

/** @type {WebAssembly.Memory[]} */
const memories = [];

/**
 * Start watching; call before ONNX Runtime is loaded.
 *
 * @returns {() => number} bytes of every WebAssembly.Memory made in JS since
 */
export function watchMemory() {
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, args) {
      const memory = Reflect.construct(target, args);
      memories.push(memory);
      return memory;
    },
  });
  return () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}

/** @param {ArrayBufferLike} buffer @returns {WebAssembly.Memory | null} the one it is of, if it was watched */
export function memoryOf(buffer) {
  return memories.find((memory) => memory.buffer === buffer) ?? null;
}

/**
 * Give a buffer's memory back now. Chromium keeps that of a buffer which came by message until its own object is
 * collected, whatever `ArrayBuffer.transfer` does; what is sent to nobody goes at once.
 *
 * @param {ArrayBuffer} buffer empty afterwards
 */
export function discard(buffer) {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(null, [buffer]);
  port1.close();
}

/** How many bytes of buffers are held, and were at most. */
export class HeldBytes {
  constructor() {
    this.now = 0;
    this.peak = 0;
  }

  /** @param {number} bytes taken, or given back where they are less than 0 */
  add(bytes) {
    this.now += bytes;
    this.peak = Math.max(this.peak, this.now);
  }
}
