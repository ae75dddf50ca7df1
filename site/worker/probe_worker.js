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

// A page that is not isolated has a clock of a tenth of a millisecond: what is timed takes ten and more.
const PASSES = 8000;
const FEWEST_ROUNDS = 3;

/** Of each rate; with the warm-up, starting and three rates it is under half a second. */
const MEASURED_MS = 60;

/** While the browser compiles what turned out to be hot. */
const WARM_UP_MS = 60;

/** @type {Exports | null} */
let kernels = null;
let bytes = 0;

/** @param {WebAssembly.Module} module @param {number} wanted bytes of weights */
async function prepare(module, wanted) {
  const instance = await WebAssembly.instantiate(module);
  kernels = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  const rows = Math.floor(wanted / WIDTH);
  bytes = rows * WIDTH;
  kernels.memory.grow(Math.ceil((PAGE + bytes) / PAGE));
  // Pages that nobody wrote to are one page of zeros, which lies in every cache. 0x3f3f3f3f is 0.75: no
  // product is too small to be normal, which would take a CPU a hundred times longer.
  new Uint8Array(kernels.memory.buffer).fill(0x3f);
}

/**
 * The mean, since that is what a model gets: the best of several is what a CPU does in a burst, and the median
 * of short ones falls between the pauses of a machine that is slowed, or hot.
 *
 * @param {() => void} run @returns {number} seconds
 */
function usual(run) {
  const begun = performance.now();
  let rounds = 0;
  for (let spent = 0; rounds < FEWEST_ROUNDS || spent < MEASURED_MS; rounds++) {
    run();
    spent = performance.now() - begun;
  }
  return (performance.now() - begun) / 1000 / rounds;
}

/** @returns {Promise<Rates>} */
async function measure() {
  if (kernels === null) throw new Error('measured before it was prepared');
  const { gemv_float32, gemv_int8 } = kernels;
  const compute = (/** @type {number} */ passes) => {
    for (let pass = 0; pass < passes; pass++) gemv_float32(PAGE, X, Y, CACHED_ROWS, WIDTH);
  };
  const rows = bytes / WIDTH;
  compute(PASSES);
  for (let pass = 0; pass < 20; pass++) gemv_int8(PAGE, X, Y, rows / 8, WIDTH);
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  return {
    compute: (PASSES * CACHED_ROWS * WIDTH) / 4 / usual(() => compute(PASSES)),
    float32: bytes / usual(() => gemv_float32(PAGE, X, Y, rows, WIDTH)),
    int8: bytes / usual(() => gemv_int8(PAGE, X, Y, rows, WIDTH)),
  };
}

self.addEventListener('message', async ({ data }) => {
  try {
    if (data.prepare === undefined) {
      self.postMessage(await measure());
    } else {
      await prepare(data.module, data.prepare);
      self.postMessage({});
    }
  } catch (error) {
    self.postMessage({ error: String(error) }); // a rejection would not reach the page
  }
});

export {}; // a module, as its page starts it
