// How large the WebAssembly heaps are. `performance.measureUserAgentSpecificMemory` does not count an
// unshared heap, so ONNX Runtime's, which is made in JS, is remembered here when it is made. Pyodide's is
// made by its own module, which tells.

/**
 * Start watching; call before ONNX Runtime is loaded.
 *
 * @returns {() => number} bytes of every WebAssembly.Memory made in JS since
 */
export function watchMemory() {
  /** @type {WebAssembly.Memory[]} */
  const memories = [];
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, args) {
      const memory = Reflect.construct(target, args);
      memories.push(memory);
      return memory;
    },
  });
  return () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}
