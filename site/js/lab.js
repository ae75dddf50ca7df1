// The reduction lab's models as points: what each weighs on the wire, how often it is right, how fast it is.

import { fileAt } from './catalog.js';

/**
 * @typedef {import('./catalog_types.js').Model} Model
 * @typedef {import('./catalog_types.js').LineageStep} LineageStep
 *
 * @typedef {object} Figures  site/measured/lab.json, which `make bench` writes
 * @property {string} measured_on
 * @property {Record<string, Record<string, number>>} milliseconds a sentence, by id and dtype
 * @property {{name: string, accuracy: number, interval: [number, number]}[]} baselines
 * @property {{name: string, accuracy: number, interval: [number, number], n: number, bytes: number}} general
 *   a large general model, asked in words
 * @property {Record<string, number[]>} [seeds] the accuracy that each of several trainings of a default dtype reached
 *
 * @typedef {object} Point
 * @property {string} id
 * @property {string} dtype
 * @property {Model} model
 * @property {number} bytes all that it takes on the wire, the tokenizer included
 * @property {number} shared of these, what another model has too
 * @property {number} accuracy
 * @property {readonly number[] | null} interval
 * @property {number | null} elsewhere accuracy on products, which nothing was trained on
 * @property {number | null} milliseconds
 * @property {readonly number[]} seeds accuracies, where it was trained from several seeds
 * @property {LineageStep[]} chain what led to it
 */

/** Where the milliseconds and the baselines are. */
export const FIGURES = new URL('../measured/lab.json', import.meta.url).href;

/** @param {Model[]} models @returns {Model[]} those of the lab */
export function labModels(models) {
  return models.filter((model) => model.task === 'text_classification');
}

/**
 * @param {Model[]} models
 * @param {Figures | null} figures
 * @returns {Point[]} every dtype of every model that tells sentiment, lightest first
 */
export function points(models, figures) {
  return labModels(models)
    .filter((model) => model.id.startsWith('sentiment-'))
    .flatMap((model) =>
      Object.keys(model.devices.wasm?.files ?? {}).map((dtype) => point(model, dtype, figures)),
    )
    .sort((a, b) => a.bytes - b.bytes);
}

/** @param {Model} model @param {string} dtype @param {Figures | null} figures @returns {Point} */
function point(model, dtype, figures) {
  const paths = model.devices.wasm?.files[dtype] ?? [];
  const files = paths.map((path) => fileAt(model, path));
  const sum = (/** @type {typeof files} */ some) => some.reduce((all, file) => all + file.bytes, 0);
  const own = (/** @type {typeof files[number]} */ file) => file.path.startsWith(`${model.id}/`);
  const borrows = !files.every(own); // weights of a base, whose tokenizer is the same file too
  const [test, other] = model.quality.filter(
    (row) => row.dtype === dtype && row.metric === 'accuracy',
  );
  return {
    id: model.id,
    dtype,
    model,
    bytes: sum(files),
    shared: borrows ? sum(files.filter((file) => !own(file) || file.role === 'tokenizer')) : 0,
    accuracy: test?.value ?? Number.NaN,
    interval: test?.interval ?? null,
    elsewhere: other?.value ?? null,
    milliseconds: figures?.milliseconds[model.id]?.[dtype] ?? null,
    seeds: (dtype === model.default_dtype && figures?.seeds?.[model.id]) || [],
    chain: model.lineage.filter((step) => step.dtype === 'fp32' || step.dtype === dtype),
  };
}

/**
 * @param {Point[]} all
 * @returns {Point[]} those that nothing as light is as often right as, lightest first
 */
export function frontier(all) {
  /** @type {Point[]} */
  const found = [];
  for (const candidate of [...all].sort((a, b) => a.bytes - b.bytes || b.accuracy - a.accuracy)) {
    if (candidate.accuracy > (found.at(-1)?.accuracy ?? 0)) found.push(candidate);
  }
  return found;
}

/** What a point is known by. @param {{id: string, dtype: string}} point */
export function pointKey({ id, dtype }) {
  return `${id} ${dtype}`;
}
