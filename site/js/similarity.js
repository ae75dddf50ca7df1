// Search by meaning: embed each text once, rank by cosine.

/**
 * @typedef {{run: (inputs: string[]) => Promise<{vectors: Float32Array[]}>}} Embedder
 * @typedef {{text: string, similarity: number}} Ranked
 */

/** @param {Float32Array} a @param {Float32Array} b both of unit length @returns {number} their cosine */
export function cosine(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++)
    sum += /** @type {number} */ (a[i]) * /** @type {number} */ (b[i]);
  return sum;
}

export class SentenceIndex {
  /** @param {Embedder} model */
  constructor(model) {
    this.model = model;
    /** @type {Map<string, Float32Array>} */
    this.vectors = new Map();
  }

  /**
   * @param {string} query
   * @param {string[]} sentences
   * @returns {Promise<Ranked[]>} most alike first
   */
  async rank(query, sentences) {
    const wanted = [...new Set([query, ...sentences])];
    const missing = wanted.filter((text) => !this.vectors.has(text));
    if (missing.length > 0) {
      const { vectors } = await this.model.run(missing);
      missing.forEach((text, i) => {
        this.vectors.set(text, /** @type {Float32Array} */ (vectors[i]));
      });
    }
    const vector = (/** @type {string} */ text) =>
      /** @type {Float32Array} */ (this.vectors.get(text));
    const ranked = sentences.map((text) => ({
      text,
      similarity: cosine(vector(query), vector(text)),
    }));
    this.forget(wanted);
    return ranked.sort((a, b) => b.similarity - a.similarity);
  }

  /** Keep only what the last ranking used. @param {string[]} kept */
  forget(kept) {
    const set = new Set(kept);
    for (const text of this.vectors.keys()) if (!set.has(text)) this.vectors.delete(text);
  }
}
