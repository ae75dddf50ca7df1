// How long and how much: a model's seconds, speed and memory on this device, each with its interval. What was
// measured here before goes first, then a cut of the model that was timed, then the probe.

import { filesByRole } from './catalog.js';

/**
 * @typedef {import('./verdict.js').Basis} Basis
 * @typedef {import('./verdict.js').Figure} Figure
 */

/** What `first_token` is predicted for: a short question in its chat template, and a sentence. */
export const PROMPT_TOKENS = 40;
export const SENTENCE_TOKENS = 16;

// Measured with every built model, on 1 and 2 threads: `python -m e2e.bench.judge`.

/** A token's seconds, in those that its weights take to be read as the probe reads; and what is not reading: one thread
 * alone has all that lies between two matrices to itself, and several wait for each other. */
const READING = { file: 1, float32: 1, int8: 1.7, blocks: 1 };
const WAITING = { alone: 1.2, together: 1.4 };

/** A prompt's seconds, in those of the probe: a kernel that multiplies matrices reads what it has once for several
 * rows. */
const MULTIPLYING = {
  writing: { alone: 0.31, together: 0.31 },
  reading: { alone: 0.31, together: 0.38 },
};

/** Seconds for a byte of the weights as they compute, to expand and to open a session. Decoding is done as they come. */
const OPENING = { file: 4e-9, float32: 2.7e-9, int8: 1.7e-8, blocks: 1e-8 };

/** Seconds for a byte of a download beside its way here, where neither waits for the other: hashed, decoded, and written
 * to the disk. And until the first is asked for: requests go there and back, and workers begin. */
const ARRIVING = 3.2e-8;
const ASKING_SECONDS = { waiting: 0.6, working: 0.12 };

/** How many times as many tokens a second come where the model's habits are guessed. One step in four brings a
 * second token, or two in three where an answer repeats itself; a guess takes a tenth longer. */
const GUESSING = 1.1;

/** Python and ONNX Runtime, and what a run takes beside multiplying, on the machine below. While it first writes, the
 * browser still compiles, which a second CPU does meanwhile where the model has one thread; what a sentence takes is what it
 * takes after that. */
const ENGINE_SECONDS = 1.3;
const RUN_SECONDS = {
  writing: { alone: 0.084, together: 0.28 },
  reading: { alone: 0.0025, together: 0.0025 },
};
/** What of that a cut of the model does not show, and how much slower the first answer is than the cut. */
const RUN_BESIDE_CUT = { writing: 0.5, reading: 0.25 };
const FIRST_ANSWER = { file: 1.2, float32: 1.2, int8: 1, blocks: 1.2 };
/** A thread's rates, of the probe; and how much multiplying, and the rest, loading above all, get on by each. What is
 * read from memory counts more, as it is measured better: two probes of one page differ by 10 %, those from the cache by
 * 25 %. */
const REFERENCE = { compute: 5.5e9, float32: 7.5e9 };
const MULTIPLIED = { compute: 0.3, float32: 0.7 };
const PACE = { compute: 0.3, float32: 0.6 };

/** Kernels that a layer takes on a GPU, by the nodes of the built graphs (what only reshapes aside; attention as
 * four), and those before and after all layers. */
const KERNELS = { writing: 26, reading: 10, model: 15 };

/** How far off a figure may be: its interval is from `value / times` to `value * times`. */
const WITHIN = { memory: 1.15, load: 2, first_token: 2.5, tokens_per_second: 2 };
/** Of a GPU's probe, which was judged on none but SwiftShader. */
const WITHIN_GPU = { first_token: 3, tokens_per_second: 2.5 };
const WITHIN_TIMED = { first_token: 2, tokens_per_second: 1.6 };
/** And how much longer the first few sentences may take, while the browser compiles. */
const COMPILING = { writing: 1, reading: 2 };

/**
 * @param {Basis} basis
 * @param {import('./device.js').Device} device
 * @param {import('./catalog_types.js').Sizes} sizes
 */
export function predict(basis, device, sizes) {
  const { model, dtype, choice, plan, network, pairs } = basis;
  const rates = ofThreads(basis.rates, choice.threads);
  const layout = model.devices[device]?.layout ?? 'file';
  const toFetch = plan.total - plan.stored;
  const before = pairs.filter(
    (pair) =>
      pair.id === model.id &&
      pair.dtype === dtype &&
      pair.device === device &&
      pair.threads === choice.threads,
  );
  const measured = (/** @type {import('./pairs.js').FigureName} */ name, alike = before) => {
    const values = alike.map((pair) => pair.measured[name]).filter((value) => value !== undefined);
    return values.length === 0 ? null : spread(values);
  };
  // Who has the model here has the runtimes in the browser's cache.
  const warm = plan.stored >= plan.model;
  const writes = model.task === 'text_generation';
  const machine = rates === null ? 1 : pace(rates);
  const download = network === null ? null : arrives(toFetch, network, machine);
  const opening = OPENING[layout] * sizes.read_bytes;
  // What has come is still to be worked on: the engine's own files, and the last of the model's.
  const way = warm || network === null ? 0 : toFetch / network.value;
  const arrival = warm ? 0 : (download?.value ?? 0);
  const ready = Math.max(arrival, way + (ENGINE_SECONDS + opening) / machine);
  const speed = predictSpeed({ ...basis, rates }, device, sizes);
  return {
    bytes: {
      value: toFetch,
      low: toFetch,
      high: toFetch,
      kind: /** @type {const} */ ('predicted'),
    },
    seconds: {
      download: warm ? about(0, 1) : download,
      // A load from the network is another than one from the disk.
      load:
        (warm
          ? measured(
              'load',
              before.filter(({ network_bytes }) => network_bytes === 0),
            )
          : null) ?? (download === null && !warm ? null : about(ready, WITHIN.load)),
      first_token: measured('first_token') ?? speed.first_token,
    },
    tokens_per_second: writes ? (measured('tokens_per_second') ?? speed.tokens_per_second) : null,
    memory: measured('memory') ?? about(sizes.loading_bytes, WITHIN.memory),
  };
}

/**
 * @param {Basis} basis @param {string} device @param {import('./catalog_types.js').Sizes} sizes
 * @returns {{first_token: Figure | null, tokens_per_second: Figure | null}}
 */
function predictSpeed({ model, dtype, rates, gpu, surrogate }, device, sizes) {
  const guessing = 'ngrams' in filesByRole(model, device, dtype) ? GUESSING : 1;
  const writes = model.task === 'text_generation';
  const layout = model.devices[device]?.layout ?? 'file';
  const speed = rates === null ? 1 : pace(rates);
  const doing = writes ? 'writing' : 'reading';
  const threads = rates === null || rates.threads > 1 ? 'together' : 'alone';
  const running = RUN_SECONDS[doing][threads] / speed;
  if (surrogate !== null) {
    const { first, token } = surrogate;
    return {
      first_token: about(
        first + RUN_BESIDE_CUT[doing] * running,
        WITHIN_TIMED.first_token,
        COMPILING[doing],
      ),
      tokens_per_second:
        token === null
          ? null
          : about(guessing / (FIRST_ANSWER[layout] * token), WITHIN_TIMED.tokens_per_second),
    };
  }
  const tokens = writes ? PROMPT_TOKENS : SENTENCE_TOKENS;
  // The head answers for the last token of a prompt alone.
  const head = writes ? model.shape.vocabulary * model.shape.hidden : 0;
  const work = tokens * (sizes.multiply_adds - head) + head;
  if (device === 'webgpu') {
    if (gpu === null) return { first_token: null, tokens_per_second: null };
    const each = writes ? KERNELS.writing : KERNELS.reading;
    const asking = gpu.turn + gpu.dispatch * (each * model.shape.layers + KERNELS.model);
    const token = asking + sizes.read_bytes / (layout === 'blocks' ? gpu.blocks : gpu.float32);
    return {
      first_token: about(token + work / gpu.compute, WITHIN_GPU.first_token),
      tokens_per_second: about(1 / token, WITHIN_GPU.tokens_per_second),
    };
  }
  if (rates === null) return { first_token: null, tokens_per_second: null };
  const reading = waiting(rates.threads) * READING[layout] * sizes.read_bytes;
  const rate = layout === 'int8' ? rates.int8 : rates.float32;
  return {
    first_token: about(
      (MULTIPLYING[doing][threads] * work) / multiplies(rates) + running,
      WITHIN.first_token,
      COMPILING[doing],
    ),
    tokens_per_second: about((guessing * rate) / reading, WITHIN.tokens_per_second),
  };
}

/** @param {number} threads */
export function waiting(threads) {
  return threads > 1 ? WAITING.together : WAITING.alone;
}

/**
 * Multiply-adds a second, of all threads: between those from the cache and those from memory, since either is measured
 * in a moment that has moods of its own.
 *
 * @param {NonNullable<Basis['rates']>} rates
 */
function multiplies({ compute, float32 }) {
  return (
    compute ** MULTIPLIED.compute * (float32 / Float32Array.BYTES_PER_ELEMENT) ** MULTIPLIED.float32
  );
}

/**
 * How many times as fast as the machine below what is neither multiplying nor reading gets on: between the two too.
 *
 * @param {NonNullable<Basis['rates']>} rates
 */
function pace({ compute, float32, threads }) {
  return (
    (compute / threads / REFERENCE.compute) ** PACE.compute *
    (float32 / threads / REFERENCE.float32) ** PACE.float32
  );
}

/**
 * @param {Basis['rates']} rates of as many threads as this device has
 * @param {number} threads that the model gets
 * @returns {Basis['rates']}
 */
function ofThreads(rates, threads) {
  if (rates === null || rates.threads <= threads) return rates;
  const share = threads / rates.threads;
  const { compute, float32, int8 } = rates;
  return { compute: share * compute, float32: share * float32, int8: share * int8, threads };
}

/** @param {number} value @param {number} times @param {number} longer @returns {Figure} */
function about(value, times, longer = 1) {
  return { value, low: value / times, high: value * times * longer, kind: 'predicted' };
}

/**
 * The way here and what is done with what has come go on at once, and the longer of the two counts most.
 *
 * @param {number} bytes @param {import('./network.js').Rate} rate
 * @param {number} machine how many times as fast as the one below
 * @returns {Figure} seconds
 */
function arrives(bytes, { value, low, high }, machine) {
  const asking = ASKING_SECONDS.waiting + ASKING_SECONDS.working / machine;
  const handling = (ARRIVING * bytes) / machine;
  return {
    value: asking + Math.hypot(bytes / value, handling),
    low: asking / 2 + bytes / high,
    high: 2 * asking + Math.hypot(bytes / low, 2 * handling),
    kind: 'predicted',
  };
}

/** @param {number[]} values oldest first @returns {Figure} */
function spread(values) {
  const value = values.at(-1) ?? 0;
  return { value, low: Math.min(...values), high: Math.max(...values), kind: 'measured' };
}
