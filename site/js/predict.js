// How long and how much: a model's seconds, speed and memory on this device, each with its interval. What was
// measured here before goes first, then a cut of the model that was timed, then the probe.

import { filesByRole } from './catalog.js';
import { ASKING_SECONDS } from './network.js';

/**
 * @typedef {import('./verdict.js').Basis} Basis
 * @typedef {import('./verdict.js').Figure} Figure
 */

/** What `first_token` is predicted for: a short question in its chat template, and a sentence. */
export const PROMPT_TOKENS = 40;
export const SENTENCE_TOKENS = 16;

// Measured with every built model, on 1 and 2 threads: `python -m e2e.bench.judge`.

/** A token's seconds, in those that its weights take to be read, and be multiplied, as the probe does: float32 goes by
 * while the next is read, 8 bits are unpacked and summed first. And what is neither: one thread alone has all that lies
 * between two matrices to itself, and several wait for each other. */
const READING = { file: 1, float32: 1, int8: 0.7, blocks: 1 };
const UNPACKING = { file: 0, float32: 0, int8: 2.3, blocks: 0 };
const WAITING = { alone: 1.2, together: 1.4 };

/** A prompt's seconds, in those of the probe, beside reading the weights once: a kernel that multiplies matrices takes
 * what it has for several rows. */
const MULTIPLYING = 0.79;

/** Seconds for a byte of the weights as they compute, to expand and to open a session. Decoding is done as they come. */
const OPENING = { file: 4e-9, float32: 2.7e-9, int8: 1.7e-8, blocks: 1e-8 };

/** Seconds for a byte of a download beside its way here, where neither waits for the other: hashed, decoded, and written
 * to the disk. And until the first is asked for, beside the requests that go there and back: workers begin. */
const ARRIVING = 3.5e-8;
const BEGINNING_SECONDS = 0.2;

/** How many times as many tokens a second come where the model's habits are guessed. One step in four brings a
 * second token, or two in three where an answer repeats itself; a guess takes a tenth longer. */
const GUESSING = 1.1;

/** Python and ONNX Runtime, and what a run takes beside multiplying, on the machine of `REFERENCE`. While it first
 * writes, the browser still compiles, which a second CPU does meanwhile where the model has one thread; what a sentence
 * takes is what it takes after that. */
const ENGINE_SECONDS = { alone: 1.95, together: 1.55 };
const RUN_SECONDS = {
  writing: { alone: 0.155, together: 0.36 },
  reading: { alone: 0.0019, together: 0.0019 },
};
/** What of that a cut of the model does not show, and how much slower the first answer is than the cut. */
const RUN_BESIDE_CUT = { writing: 0.4, reading: 0.25 };
const FIRST_ANSWER = { file: 1.2, float32: 1.2, int8: 1, blocks: 1.2 };

/** Multiply-adds a second of a thread, and how much the rest, loading above all, gets on with them: less than
 * multiplying does, on a CPU that is slowed as on another machine. */
const REFERENCE = 5.5e9;
const PACE = 0.7;

/** Kernels that a layer takes on a GPU, by the nodes of the built graphs (what only reshapes aside; attention as
 * four), and those before and after all layers. */
const KERNELS = { writing: 26, reading: 10, model: 15 };

/** How far off a figure may be: its interval is from `value / times` to `value * times`. */
const WITHIN = { memory: 1.15, load: 2, first_token: 2.5, tokens_per_second: 2 };
/** Of a GPU's probe, which was judged on none but SwiftShader. */
const WITHIN_GPU = { first_token: 3, tokens_per_second: 2.5 };
const WITHIN_TIMED = { first_token: 2, tokens_per_second: 2 };
/** And how much longer the first few sentences may take, while the browser compiles. */
const COMPILING = { writing: 1, reading: 2.5 };

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
  const way = warm ? about(0, 1) : network && wayOf(toFetch, network);
  const download = warm ? way : way && arrives(toFetch, way, machine);
  const opening = OPENING[layout] * sizes.read_bytes;
  const engine = ENGINE_SECONDS[choice.threads > 1 ? 'together' : 'alone'];
  const own = (engine + opening) / machine;
  const speed = predictSpeed({ ...basis, rates }, device, sizes);
  return {
    bytes: about(toFetch, 1),
    seconds: {
      download,
      // A load from the network is another than one from the disk.
      load:
        (warm
          ? measured(
              'load',
              before.filter(({ network_bytes }) => network_bytes === 0),
            )
          : null) ??
        (way && download && readyAfter(download, way, own)),
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
  const reading =
    (READING[layout] * sizes.read_bytes) / rates[layout === 'int8' ? 'int8' : 'float32'];
  const unpacking = (UNPACKING[layout] * sizes.multiply_adds) / rates.compute;
  return {
    first_token: about(
      reading + (MULTIPLYING * work) / rates.compute + running,
      WITHIN.first_token,
      COMPILING[doing],
    ),
    tokens_per_second: about(
      guessing / (waiting(rates.threads) * (reading + unpacking)),
      WITHIN.tokens_per_second,
    ),
  };
}

/** @param {number} threads */
export function waiting(threads) {
  return threads > 1 ? WAITING.together : WAITING.alone;
}

/**
 * How many times as fast as the machine of `REFERENCE` what is neither multiplying nor reading gets on.
 *
 * @param {NonNullable<Basis['rates']>} rates
 */
function pace({ compute, threads }) {
  return (compute / threads / REFERENCE) ** PACE;
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
 * @param {number} bytes @param {Figure} way here
 * @param {number} machine how many times as fast as the one of `REFERENCE`
 * @returns {Figure} seconds
 */
function arrives(bytes, way, machine) {
  const asking = ASKING_SECONDS + BEGINNING_SECONDS / machine;
  const handling = (ARRIVING * bytes) / machine;
  return {
    value: asking + Math.hypot(way.value, handling),
    low: asking / 2 + way.low,
    high: 2 * asking + Math.hypot(way.high, 2 * handling),
    kind: 'predicted',
  };
}

/** @param {number} bytes @param {import('./network.js').Rate} rate @returns {Figure} seconds */
function wayOf(bytes, { value, low, high }) {
  return { value: bytes / value, low: bytes / high, high: bytes / low, kind: 'predicted' };
}

/**
 * What has come is still to be worked on: the engine's own files, and the last of the model's.
 *
 * @param {Figure} arrival of all of it @param {Figure} way here @param {number} own seconds that loading takes
 * @returns {Figure} seconds
 */
function readyAfter(arrival, way, own) {
  const after = (/** @type {'value' | 'low' | 'high'} */ end, /** @type {number} */ times) =>
    Math.max(arrival[end], way[end] + times * own);
  return {
    value: after('value', 1),
    low: after('low', 1 / WITHIN.load),
    high: after('high', WITHIN.load),
    kind: 'predicted',
  };
}

/** @param {number[]} values oldest first @returns {Figure} */
function spread(values) {
  const value = values.at(-1) ?? 0;
  return { value, low: Math.min(...values), high: Math.max(...values), kind: 'measured' };
}
