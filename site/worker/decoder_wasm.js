// A decoder on WASM whose KV cache never leaves the WebAssembly heap.
//
// Through the public API every step would copy the whole cache out of the heap and back in: 47 MB a token
// at 512 tokens of context. Here each layer's keys and values live in one buffer that is both input and
// output of the step (GroupQueryAttention sees that they are the same and appends in place).

import { KvCache } from './kv_cache.js';
import {
  allocate,
  createTensor,
  cString,
  INT64,
  lastError,
  pointers,
  readTensor,
} from './ort_c.js';

/**
 * @typedef {import('./ort_c.js').OrtModule} OrtModule
 * @typedef {import('./decoder_host.js').Candidates} Candidates
 */

const FIRST_TOKENS = 200;
const OUTPUTS = ['top_values', 'top_ids', 'log_normalizer'];
const INPUTS = ['input_ids', 'attention_mask', 'logits_to_keep', 'top_k'];

export class WasmDecoder {
  /**
   * @param {OrtModule} module
   * @param {import('onnxruntime-web').InferenceSession} session
   * @param {[number, number]} kvShape key and value heads, and the size of each
   * @param {[number, number] | null} steps (first, most): the first tokens of a text are fed one by one,
   *   later ones at most `most` at once; null feeds all at once
   */
  constructor(module, session, kvShape, steps = null) {
    this.steps = steps;
    // In fp32 a step waits for the weights to be read, once for all its tokens: two take a tenth longer than
    // one, nine nearly three times as long. Integers have one scale for all of a step's activations, so
    // that guesses would change what they come to.
    this.widest = steps === null ? 9 : 1;
    this.module = module;
    this.session = session;
    this.handle = /** @type {any} */ (session).handler.sessionId;
    this.length = 0;
    const past = session.inputNames.filter((name) => name.startsWith('past_key_values.'));
    const present = past.map((name) => name.replace('past_key_values', 'present'));
    this.cache = new KvCache(module, past.length, kvShape);
    this.names = new Map(
      [...INPUTS, ...past, ...OUTPUTS, ...present].map((n) => [n, cString(module, n)]),
    );
    const named = (/** @type {string[]} */ names) =>
      pointers(
        module,
        names.map((name) => this.names.get(name) ?? 0),
      );
    this.inputNames = named([...INPUTS, ...past]);
    this.outputNames = named([...OUTPUTS, ...present]);
    this.values = allocate(module, 4 * (INPUTS.length + past.length));
    this.results = allocate(module, 4 * (OUTPUTS.length + past.length));
    /** As many ones as the cache has room for, `masked`: the mask. */
    this.ones = 0;
    this.masked = 0;
    this.reserve(FIRST_TOKENS);
  }

  /**
   * Append ids to the cache.
   *
   * @param {number[]} ids
   * @param {number} topK candidates a position
   * @param {number} keep how many of the last positions to answer for
   * @returns {Promise<Candidates>}
   */
  async feed(ids, topK, keep) {
    this.reserve(this.length + ids.length);
    if (this.steps === null) return await this.step(ids, topK, keep);
    /** @type {Candidates} */
    const all = { ids: [], logits: [], normalizers: [] };
    for (let at = 0; at < ids.length; ) {
      const [first, most] = this.steps;
      const width = this.length < first ? 1 : most;
      const some = ids.slice(at, at + width);
      at += some.length;
      const wanted = Math.min(some.length, keep - (ids.length - at));
      const found = await this.step(some, topK, Math.max(1, wanted));
      if (wanted <= 0) continue;
      all.ids.push(...found.ids);
      all.logits.push(...found.logits);
      all.normalizers.push(...found.normalizers);
    }
    return all;
  }

  /** @param {number[]} ids @param {number} topK @param {number} keep @returns {Promise<Candidates>} */
  async step(ids, topK, keep) {
    const { module } = this;
    const total = this.length + ids.length;
    const positions = Array.from({ length: keep }, (_, i) => ids.length - keep + i);
    const made = [
      this.int64(ids, [1, ids.length]),
      { data: 0, tensor: createTensor(module, INT64, this.ones, 8 * total, [1, total]) },
      this.int64(positions, [keep]),
      this.int64([topK], [1]),
    ];
    const write = (/** @type {number} */ at, /** @type {number[]} */ handles) => {
      handles.forEach((handle, i) => void module.setValue(at + 4 * i, handle, '*'));
    };
    const kept = this.cache.tensors;
    write(this.values, [...made.map(({ tensor }) => tensor), ...kept]);
    write(this.results, [...OUTPUTS.map(() => 0), ...kept]);
    try {
      const status = await module._OrtRun(
        this.handle,
        this.inputNames,
        this.values,
        INPUTS.length + kept.length,
        this.outputNames,
        OUTPUTS.length + kept.length,
        this.results,
        0,
      );
      if (status !== 0) throw new Error(lastError(module));
    } finally {
      for (const { tensor, data } of made) {
        module._OrtReleaseTensor(tensor);
        module._free(data);
      }
    }
    this.length = total;
    const [logits, found, normalizers] = OUTPUTS.map((_, i) => {
      const tensor = module.getValue(this.results + 4 * i, '*');
      const values = readTensor(module, tensor);
      module._OrtReleaseTensor(tensor);
      return values;
    });
    return { ids: found ?? [], logits: logits ?? [], normalizers: normalizers ?? [] };
  }

  /** @param {number} length how many of the cache's first tokens to keep */
  truncate(length) {
    this.length = length; // the mask tells what is valid
  }

  async release() {
    const { module } = this;
    this.cache.free();
    const own = [this.inputNames, this.outputNames, this.values, this.results, this.ones];
    for (const pointer of [...this.names.values(), ...own]) module._free(pointer);
    await this.session.release();
  }

  /** @param {number} tokens that the cache is to have room for */
  reserve(tokens) {
    const { module, cache } = this;
    cache.reserve(tokens, this.length);
    if (cache.capacity === this.masked) return;
    const ones = allocate(module, 8 * cache.capacity);
    module._free(this.ones);
    this.ones = ones;
    this.masked = cache.capacity;
    new BigInt64Array(module.HEAPU8.buffer, this.ones, cache.capacity).fill(1n);
  }

  /** @param {number[]} values @param {number[]} dims */
  int64(values, dims) {
    const { module } = this;
    const data = allocate(module, 8 * values.length);
    values.forEach((value, i) => void module.setValue(data + 8 * i, BigInt(value), 'i64'));
    return { data, tensor: createTensor(module, INT64, data, 8 * values.length, dims) };
  }
}
