// One thread's share of the probe: how fast it multiplies what lies in its cache, and what does not.

/**
 * @typedef {object} Rates  of one thread, while the others ran too
 * @property {number} compute float32 multiply-adds a second, from the cache
 * @property {number} float32 bytes of fp32 weights a second, from memory
 * @property {number} int8 bytes of 8-bit weights a second, from memory
 *
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {(w: number, x: number, y: number, rows: number, width: number) => void} gemv_float32
 * @property {(w: number, x: number, y: number, rows: number, width: number) => void} gemv_int8
 */

const PAGE = 65536;
const WIDTH = 2048; // bytes of a row
const X = 0; // x and y lie in the page before the weights
const Y = 4 * WIDTH;
const CACHED_ROWS = 12; // 24 KiB of weights: with x, what a first-level cache holds

// A page that is not isolated has a clock of a tenth of a millisecond: what is timed takes some milliseconds.
const PASSES = 10_000;

/** While the browser compiles what turned out to be hot. */
const WARM_UP_MS = 60;

/** @type {Exports | null} */
let kernels = null;
let rows = 0; // of weights

/** @param {WebAssembly.Module} module @param {number} wanted bytes of weights */
async function prepare(module, wanted) {
  const instance = await WebAssembly.instantiate(module);
  kernels = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  rows = Math.floor(wanted / WIDTH);
  kernels.memory.grow(Math.ceil((PAGE + rows * WIDTH) / PAGE));
  // Pages that nobody wrote to are one page of zeros, which lies in every cache. 0x3f3f3f3f is 0.75: no
  // product is too small to be normal, which would take a CPU a hundred times longer.
  new Uint8Array(kernels.memory.buffer).fill(0x3f);
  RUNS.compute(kernels, 0);
  for (let pass = 0; pass < 10; pass++) RUNS.int8(kernels, Math.ceil(rows / 8));
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
}

/** @type {Record<keyof Rates, (kernels: Exports, rows: number) => number>} once, and how much that was */
const RUNS = {
  compute({ gemv_float32 }) {
    for (let pass = 0; pass < PASSES; pass++) gemv_float32(PAGE, X, Y, CACHED_ROWS, WIDTH);
    return (PASSES * CACHED_ROWS * WIDTH) / 4;
  },
  float32({ gemv_float32 }, rows) {
    gemv_float32(PAGE, X, Y, rows, WIDTH);
    return rows * WIDTH;
  },
  int8({ gemv_int8 }, rows) {
    gemv_int8(PAGE, X, Y, rows, WIDTH);
    return rows * WIDTH;
  },
};

/** @param {keyof Rates} rate @returns {{amount: number, seconds: number}} */
function time(rate) {
  if (kernels === null) throw new Error('measured before it was prepared');
  const begun = performance.now();
  const amount = RUNS[rate](kernels, rows);
  return { amount, seconds: (performance.now() - begun) / 1000 };
}

self.addEventListener('message', async ({ data }) => {
  try {
    if (data.prepare === undefined) {
      self.postMessage(time(data.rate));
    } else {
      await prepare(data.module, data.prepare);
      self.postMessage({});
    }
  } catch (error) {
    self.postMessage({ error: String(error) }); // a rejection would not reach the page
  }
});

export {}; // a module, as its page starts it
