// A decoder and its KV cache, which stays where the model computes. Python sees token ids and the top
// candidates; logits never leave the graph (export/pesoleve/graph/decoder.py).

/**
 * @typedef {import('onnxruntime-web').InferenceSession} InferenceSession
 * @typedef {import('onnxruntime-web').Tensor} Tensor
 * @typedef {typeof import('onnxruntime-web')} Ort
 * @typedef {{ids: number[], logits: number[], normalizers: number[]}} Candidates
 *   flat: `top_k` ids and logits, and one normalizer, for each position asked for
 */

/**
 * From 32 tokens on, ONNX Runtime 1.30 takes another attention kernel on WebGPU. On SwiftShader it answers
 * wrongly, and a short canary does not always show it.
 */
const MOST_AT_ONCE = 31;

export class DecoderHost {
  /**
   * @param {Ort} ort the runtime that `session` is of
   * @param {InferenceSession} session
   * @param {[number, number]} kvShape key and value heads, and the size of each
   */
  constructor(ort, session, kvShape) {
    this.ort = ort;
    this.session = session;
    this.length = 0;
    /** Nobody has measured whether a GPU takes several tokens of an answer for little more than one. */
    this.widest = 1;
    this.kvNames = session.inputNames.filter((name) => name.startsWith('past_key_values.'));
    this.kvShape = kvShape;
    /** @type {Record<string, Tensor>} */
    this.past = {};
    this.forget();
  }

  /** Start with an empty cache. */
  forget() {
    for (const tensor of Object.values(this.past)) tensor.dispose();
    const [heads, size] = this.kvShape;
    for (const name of this.kvNames) {
      this.past[name] = new this.ort.Tensor('float32', new Float32Array(0), [1, heads, 0, size]);
    }
    this.length = 0;
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
    let rest = ids;
    while (rest.length > MOST_AT_ONCE && rest.length - MOST_AT_ONCE >= keep) {
      await this.step(rest.slice(0, MOST_AT_ONCE), 1, 1);
      rest = rest.slice(MOST_AT_ONCE);
    }
    return await this.step(rest, topK, keep);
  }

  /** @param {number[]} ids @param {number} topK @param {number} keep @returns {Promise<Candidates>} */
  async step(ids, topK, keep) {
    const total = this.length + ids.length;
    const int64 = (/** @type {number[]} */ values, /** @type {number[]} */ dims) =>
      new this.ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
    const positions = Array.from({ length: keep }, (_, i) => ids.length - keep + i);
    const outputs = await this.session.run({
      input_ids: int64(ids, [1, ids.length]),
      // The cache's tensors may be longer than what is valid in them; the mask tells what is.
      attention_mask: new this.ort.Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
      logits_to_keep: int64(positions, [keep]),
      top_k: int64([topK], [1]),
      ...this.past,
    });
    for (const name of this.kvNames) {
      this.past[name]?.dispose();
      this.past[name] = /** @type {Tensor} */ (outputs[name.replace('past_key_values', 'present')]);
    }
    this.length = total;
    return {
      ids: Array.from(/** @type {BigInt64Array} */ (outputs.top_ids?.data), Number),
      logits: Array.from(/** @type {Float32Array} */ (outputs.top_values?.data)),
      normalizers: Array.from(/** @type {Float32Array} */ (outputs.log_normalizer?.data)),
    };
  }

  /** @param {number} length how many of the cache's first tokens to keep */
  truncate(length) {
    if (length === 0) this.forget();
    else this.length = length;
  }

  /** Every step makes the cache anew. @param {number} _tokens */
  reserve(_tokens) {}

  async release() {
    this.forget();
    await this.session.release();
  }
}
