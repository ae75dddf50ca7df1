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
const X = 0;
const Y = 4 * WIDTH;
const CACHED_ROWS = 12; // 24 KiB of weights: with x, what a first-level cache holds

// A page that is not isolated has a clock of a tenth of a millisecond: what is timed takes some milliseconds.
const PASSES = 10_000;

/** While the browser compiles what turned out to be hot, weights are written: a slow device has fewer of them when
 * this is over, and is then measured by as much less. */
const WARM_UP_MS = 60;
const WRITTEN_AT_ONCE = 16 * PAGE;

/** Enough to run for the browser to take it for hot, and compile it before it is measured. */
const HOT_SHARE = 0.3;
const HOT_BYTES = 4 * 2 ** 20;

/** @type {Exports | null} */
let kernels = null;
let most = 0; // bytes of weights
let weights = 0; // where they lie: behind x, and a y of all their rows

/**
 * @param {WebAssembly.Module} module
 * @param {number} fewestBytes of weights
 * @param {number} mostBytes of weights, where there is time to write them
 * @returns {Promise<number>} what share of them was written
 */
async function prepare(module, fewestBytes, mostBytes) {
  const instance = await WebAssembly.instantiate(module);
  kernels = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  most = mostBytes;
  weights = Math.ceil((Y + (4 * most) / WIDTH) / PAGE) * PAGE;
  kernels.memory.grow(Math.ceil((weights + most) / PAGE));
  // Pages that nobody wrote to are one page of zeros, which lies in every cache. 0x3f3f3f3f is 0.75: no
  // product is too small to be normal, which would take a CPU a hundred times longer.
  const bytes = new Uint8Array(kernels.memory.buffer);
  bytes.fill(0x3f, 0, weights + fewestBytes);
  const hot = Math.min(HOT_BYTES / most, 1);
  RUNS.compute(kernels, HOT_SHARE);
  for (let pass = 0; pass < 5; pass++) RUNS.int8(kernels, hot);
  const measuredFrom = performance.now() + WARM_UP_MS;
  let written = fewestBytes;
  while (written < most && performance.now() < measuredFrom) {
    const end = Math.min(written + WRITTEN_AT_ONCE, most);
    bytes.fill(0x3f, weights + written, weights + end);
    written = end;
  }
  await new Promise((resolve) => setTimeout(resolve, measuredFrom - performance.now()));
  return written / most;
}

/** @type {Record<keyof Rates, (kernels: Exports, share: number) => number>} once, and how much that was */
const RUNS = {
  compute({ gemv_float32 }, share) {
    const passes = Math.ceil(PASSES * share);
    for (let pass = 0; pass < passes; pass++) gemv_float32(weights, X, Y, CACHED_ROWS, WIDTH);
    return (passes * CACHED_ROWS * WIDTH) / 4;
  },
  float32({ gemv_float32 }, share) {
    const rows = Math.floor((most * share) / WIDTH);
    gemv_float32(weights, X, Y, rows, WIDTH);
    return rows * WIDTH;
  },
  int8({ gemv_int8 }, share) {
    const rows = Math.floor((most * share) / WIDTH);
    gemv_int8(weights, X, Y, rows, WIDTH);
    return rows * WIDTH;
  },
};

/** @param {keyof Rates} rate @param {number} share @returns {{amount: number, seconds: number}} */
function time(rate, share) {
  if (kernels === null) throw new Error('measured before it was prepared');
  const begun = performance.now();
  const amount = RUNS[rate](kernels, share);
  return { amount, seconds: (performance.now() - begun) / 1000 };
}

self.addEventListener('message', async ({ data }) => {
  try {
    const { module, fewestBytes, mostBytes, rate, share } = data;
    self.postMessage(module ? await prepare(module, fewestBytes, mostBytes) : time(rate, share));
  } catch (error) {
    self.postMessage({ error: String(error) }); // a rejection would not reach the page
  }
});

export {}; // a module, as its page starts it
