// A decoder on WASM whose KV cache never leaves the WebAssembly heap.
//
// Through the public API every step would copy the whole cache out of the heap and back in: 47 MB a token
// at 512 tokens of context. Here each layer's keys and values live in one buffer that is both input and
// output of the step (GroupQueryAttention sees that they are the same and appends in place), by the C
// functions that ONNX Runtime Web itself calls (onnxruntime/wasm/api.h, as in version 1.30).

/**
 * @typedef {object} OrtModule
 * @property {(bytes: number) => number} _malloc
 * @property {(pointer: number) => void} _free
 * @property {(type: number, data: number, bytes: number, dims: number, rank: number, location: number) => number} _OrtCreateTensor
 * @property {(tensor: number, type: number, data: number, dims: number, rank: number) => number} _OrtGetTensorData
 * @property {(tensor: number) => number} _OrtReleaseTensor
 * @property {(session: number, inputNames: number, inputs: number, inputCount: number, outputNames: number,
 *   outputCount: number, outputs: number, options: number) => number | Promise<number>} _OrtRun
 * @property {(code: number, message: number) => number} _OrtGetLastError
 * @property {(pointer: number) => number} _OrtFree
 * @property {(pointer: number, value: number | bigint, type: string) => void} setValue
 * @property {(pointer: number, type: string) => number} getValue
 * @property {(pointer: number) => string} UTF8ToString
 * @property {(text: string, pointer: number, bytes: number) => void} stringToUTF8
 * @property {(text: string) => number} lengthBytesUTF8
 * @property {Uint8Array} HEAPU8
 * @property {(path: string, data: {byteLength: number,
 *   subarray: (start: number, end: number) => ArrayLike<number>}) => void} mountExternalData
 *
 * @typedef {import('./decoder_host.js').Candidates} Candidates
 */

const FLOAT32 = 1;
const INT64 = 7;
const ON_CPU = 1;
const FIRST_CAPACITY = 256;
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
    this.heads = kvShape[0];
    this.rowBytes = 4 * kvShape[1];
    this.size = kvShape[1];
    this.length = 0;
    this.capacity = 0;
    const past = session.inputNames.filter((name) => name.startsWith('past_key_values.'));
    const present = past.map((name) => name.replace('past_key_values', 'present'));
    this.names = new Map(
      [...INPUTS, ...past, ...OUTPUTS, ...present].map((n) => [n, this.text(n)]),
    );
    this.inputNames = this.pointers([...INPUTS, ...past].map((name) => this.nameOf(name)));
    this.outputNames = this.pointers([...OUTPUTS, ...present].map((name) => this.nameOf(name)));
    /** @type {{data: number, tensor: number}[]} keys and values, a layer after the other */
    this.cache = past.map(() => ({ data: 0, tensor: 0 }));
    this.values = module._malloc(4 * (INPUTS.length + past.length));
    this.results = module._malloc(4 * (OUTPUTS.length + past.length));
    this.reserve(FIRST_CAPACITY);
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
    this.reserve(total);
    const positions = Array.from({ length: keep }, (_, i) => ids.length - keep + i);
    const made = [
      this.int64(ids, [1, ids.length]),
      this.int64(new Array(total).fill(1), [1, total]),
      this.int64(positions, [keep]),
      this.int64([topK], [1]),
    ];
    const write = (/** @type {number} */ at, /** @type {number[]} */ handles) => {
      handles.forEach((handle, i) => void module.setValue(at + 4 * i, handle, '*'));
    };
    const kept = this.cache.map(({ tensor }) => tensor);
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
      if (status !== 0) throw new Error(this.lastError());
    } finally {
      for (const { tensor, data } of made) {
        module._OrtReleaseTensor(tensor);
        module._free(data);
      }
    }
    this.length = total;
    const [logits, found, normalizers] = OUTPUTS.map((_, i) => {
      const tensor = module.getValue(this.results + 4 * i, '*');
      const values = this.read(tensor);
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
    for (const { data, tensor } of this.cache) {
      module._OrtReleaseTensor(tensor);
      module._free(data);
    }
    for (const pointer of [...this.names.values(), this.inputNames, this.outputNames]) {
      module._free(pointer);
    }
    module._free(this.values);
    module._free(this.results);
    await this.session.release();
  }

  /** Make room for `tokens`: twice as much as before, until it is enough. @param {number} tokens */
  reserve(tokens) {
    if (tokens <= this.capacity) return;
    const before = this.capacity;
    let capacity = Math.max(before, FIRST_CAPACITY);
    while (capacity < tokens) capacity *= 2;
    const { module, heads, rowBytes } = this;
    for (const [i, { data: old, tensor }] of this.cache.entries()) {
      const bytes = heads * capacity * rowBytes;
      const data = module._malloc(bytes);
      if (data === 0) throw new Error(`no memory for a KV cache of ${capacity} tokens`);
      const heap = module.HEAPU8;
      for (let head = 0; head < heads && before > 0; head++) {
        const from = old + head * before * rowBytes;
        heap.copyWithin(data + head * capacity * rowBytes, from, from + this.length * rowBytes);
      }
      if (before > 0) {
        module._OrtReleaseTensor(tensor);
        module._free(old);
      }
      const dims = [1, heads, capacity, this.size];
      this.cache[i] = { data, tensor: this.tensor(FLOAT32, data, bytes, dims) };
    }
    this.capacity = capacity;
  }

  /** @param {number[]} values @param {number[]} dims */
  int64(values, dims) {
    const data = this.module._malloc(8 * values.length);
    values.forEach((value, i) => void this.module.setValue(data + 8 * i, BigInt(value), 'i64'));
    return { data, tensor: this.tensor(INT64, data, 8 * values.length, dims) };
  }

  /** @param {number} type @param {number} data @param {number} bytes @param {number[]} dims */
  tensor(type, data, bytes, dims) {
    const shape = this.pointers(dims);
    const tensor = this.module._OrtCreateTensor(type, data, bytes, shape, dims.length, ON_CPU);
    this.module._free(shape);
    if (tensor === 0) throw new Error(this.lastError());
    return tensor;
  }

  /** @param {number} tensor float32 or int64 @returns {number[]} */
  read(tensor) {
    const { module } = this;
    const out = module._malloc(16);
    if (module._OrtGetTensorData(tensor, out, out + 4, out + 8, out + 12) !== 0) {
      throw new Error(this.lastError());
    }
    const [type, data, dims, rank] = [0, 4, 8, 12].map((at) => module.getValue(out + at, '*'));
    let count = 1;
    for (let i = 0; i < Number(rank); i++) count *= module.getValue(Number(dims) + 4 * i, '*');
    module._OrtFree(Number(dims));
    module._free(out);
    const [size, of] = type === INT64 ? [8, 'i64'] : [4, 'float'];
    return Array.from({ length: count }, (_, i) =>
      Number(module.getValue(Number(data) + Number(size) * i, String(of))),
    );
  }

  lastError() {
    const out = this.module._malloc(8);
    this.module._OrtGetLastError(out, out + 4);
    const message = this.module.getValue(out + 4, '*');
    const text =
      message === 0 ? 'ONNX Runtime failed without a word' : this.module.UTF8ToString(message);
    this.module._free(out);
    return text;
  }

  /** @param {number[]} values @returns {number} where they are, 32 bits each */
  pointers(values) {
    const at = this.module._malloc(4 * values.length);
    values.forEach((value, i) => void this.module.setValue(at + 4 * i, value, '*'));
    return at;
  }

  /** @param {string} text */
  text(text) {
    const bytes = this.module.lengthBytesUTF8(text) + 1;
    const at = this.module._malloc(bytes);
    this.module.stringToUTF8(text, at, bytes);
    return at;
  }

  /** @param {string} name */
  nameOf(name) {
    return this.names.get(name) ?? 0;
  }
}
