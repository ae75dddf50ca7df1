// A classifier's rows of probabilities as what they say.

/**
 * @typedef {object} Classified
 * @property {string} label the likeliest
 * @property {number} score its probability
 * @property {Record<string, number>} scores of every label
 */

/**
 * @param {readonly string[]} labels
 * @param {ArrayLike<number>} probabilities one for each label
 * @returns {Classified}
 */
export function classify(labels, probabilities) {
  /** @type {Record<string, number>} */
  const scores = {};
  labels.forEach((label, index) => {
    scores[label] = probabilities[index] ?? 0;
  });
  const [label, score] = Object.entries(scores).reduce((best, entry) =>
    entry[1] > best[1] ? entry : best,
  );
  return { label, score, scores };
}
