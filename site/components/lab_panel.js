// The reduction lab: one task, and what every way of making its model smaller cost and gained.

import { asPesoLeveError } from '../js/errors.js';
import { locale, megabytes, number, t } from '../js/i18n.js';
import { FIGURES, frontier, labModels, pointKey, points } from '../js/lab.js';
import { html, nothing, PageElement } from './element.js';
import { percent } from './lab_chart.js';
import './lab_trial.js';

/**
 * @typedef {import('../js/lab.js').Point} Point
 * @typedef {import('../js/lab.js').Figures} Figures
 */

const TECHNIQUES = [
  'fine_tuning',
  'lora',
  'pruning',
  'vocabulary_pruning',
  'quantization',
  'distillation',
  'parameter_sharing',
];

const SMALLEST = 'sentiment-student-1m';

/** What is tried at first: light, and unlike one another. */
const FIRST = [SMALLEST, 'sentiment-2mb'];

export class LabPanel extends PageElement {
  /** @override */
  static properties = {
    models: { attribute: false },
    figures: { state: true },
    chosen: { state: true },
    current: { state: true },
  };

  constructor() {
    super();
    /** @type {import('../js/lab.js').Model[]} */
    this.models = [];
    /** @type {Figures | null} */
    this.figures = null;
    /** @type {Set<string>} */
    this.chosen = new Set();
    this.current = '';
    this.addEventListener('pl-point', (event) => {
      this.current = /** @type {CustomEvent} */ (event).detail;
    });
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.fetchFigures();
  }

  async fetchFigures() {
    try {
      const response = await fetch(FIGURES);
      if (!response.ok) throw new Error(`${FIGURES} answered ${response.status}`);
      this.figures = await response.json();
    } catch (error) {
      const detail = asPesoLeveError(error);
      this.dispatchEvent(new CustomEvent('pl-failure', { detail, bubbles: true }));
    }
  }

  /** @override @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    if (!changed.has('models')) return;
    const first = labModels(this.models).filter(({ id }) => FIRST.includes(id));
    this.chosen = new Set(first.map(({ id, default_dtype: dtype }) => pointKey({ id, dtype })));
  }

  /** @param {string} key */
  toggle(key) {
    const chosen = new Set(this.chosen);
    if (!chosen.delete(key)) chosen.add(key);
    this.chosen = chosen;
  }

  /** @override */
  render() {
    const all = points(this.models, this.figures);
    if (all.length === 0) return nothing;
    const best = new Set(frontier(all).map(pointKey));
    const current = all.find((point) => pointKey(point) === this.current) ?? null;
    const tried = all.filter((point) => this.chosen.has(pointKey(point)));
    return html`
      <section class="lab" aria-labelledby="lab-title">
        <h2 id="lab-title">${t('lab.title')}</h2>
        <p>${t('lab.intro')}</p>
        <p class="lab__legend">${t('lab.legend')}</p>
        <div class="lab__picture">
          <pl-lab-chart .points=${all} .baselines=${this.figures?.baselines ?? []} .chosen=${this.chosen}
                        current=${this.current}></pl-lab-chart>
          <div class="lab__chain" aria-live="polite">${current === null ? html`<p>${t('lab.chain.none')}</p>` : this.renderChain(current)}</div>
        </div>
        <pl-lab-trial .points=${tried} .others=${labModels(this.models).filter(({ id }) => !id.startsWith('sentiment-'))}></pl-lab-trial>
        <h3>${t('lab.table')}</h3>
        <div class="calculator__scroll" tabindex="0" role="region" aria-label=${t('lab.table')}>
          ${this.renderTable(all, best)}
        </div>
        ${this.renderSmallest(all)}
        ${this.renderGeneral(all)}
        <h3>${t('lab.when')}</h3>
        <dl class="lab__techniques">
          ${TECHNIQUES.map(
            (name) =>
              html`<div><dt>${t(`technique.${name}`)}</dt><dd>${t(`lab.when.${name}`)}</dd></div>`,
          )}
        </dl>
      </section>`;
  }

  /** @param {Point} point */
  renderChain(point) {
    const key = pointKey(point);
    return html`
      <h3>${point.model.title[locale()]} <small>${point.dtype}</small></h3>
      <p>${point.model.summary[locale()]}</p>
      <ol class="chain">
        ${point.chain.map(
          (step) => html`
            <li>
              <strong>${t(`technique.${step.technique}`)}</strong>
              <span>${megabytes(step.bytes_before)} → ${megabytes(step.bytes_after)}</span>
              <span>${percent(step.quality_before)} → ${percent(step.quality_after)}</span>
            </li>`,
        )}
      </ol>
      <label class="lab__try"><input type="checkbox" .checked=${this.chosen.has(key)} @change=${() => this.toggle(key)}>
        ${t('lab.try')}</label>`;
  }

  /** @param {Point[]} all @param {Set<string>} best */
  renderTable(all, best) {
    const baselines = this.figures?.baselines ?? [];
    return html`
      <table>
        <thead><tr>
          <th scope="col">${t('lab.column.try')}</th>
          <th scope="col">${t('lab.column.model')}</th>
          <th scope="col">${t('column.wire')}</th>
          <th scope="col">${t('lab.column.accuracy')}</th>
          <th scope="col">${t('lab.column.elsewhere')}</th>
          <th scope="col">${t('lab.column.milliseconds')}</th>
        </tr></thead>
        <tbody>
          ${all.map((point) => this.renderRow(point, best.has(pointKey(point))))}
          ${baselines.map(
            ({ name, accuracy, interval }) => html`
              <tr class="lab__baseline"><td></td><th scope="row">${t(`lab.baseline.${name}`)}</th><td>–</td>
                <td>${percent(accuracy)} <small>${range(interval)}</small></td><td>–</td><td>–</td></tr>`,
          )}
        </tbody>
      </table>`;
  }

  /** @param {Point} point @param {boolean} unbeaten */
  renderRow(point, unbeaten) {
    const key = pointKey(point);
    const title = point.model.title[locale()];
    return html`
      <tr class=${unbeaten ? 'lab__unbeaten' : ''}>
        <td><input type="checkbox" .checked=${this.chosen.has(key)} @change=${() => this.toggle(key)}
                   aria-label=${t('lab.try.label', { title, dtype: point.dtype })}></td>
        <th scope="row">${title} <small>${point.dtype}</small></th>
        <td>${megabytes(point.bytes, point.bytes < 1e7 ? 2 : 1)}${
          point.shared > 0
            ? html` <small>${t('lab.shared', { own: megabytes(point.bytes - point.shared, 2) })}</small>`
            : nothing
        }</td>
        <td>${percent(point.accuracy)} <small>${point.interval === null ? '' : range(point.interval)}</small>${
          point.seeds.length > 0
            ? html` <small>${t('lab.seeds', {
                count: number(point.seeds.length),
                range: range([Math.min(...point.seeds), Math.max(...point.seeds)]),
              })}</small>`
            : nothing
        }</td>
        <td>${point.elsewhere === null ? '–' : percent(point.elsewhere)}</td>
        <td>${
          point.milliseconds === null
            ? '–'
            : number(point.milliseconds, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
        }</td>
      </tr>`;
  }

  /** The smallest student beside the best of the small competitors. @param {Point[]} all */
  renderSmallest(all) {
    const rival = this.figures?.baselines.toSorted((a, b) => b.accuracy - a.accuracy)[0];
    const [student] = all
      .filter(({ model }) => model.id === SMALLEST)
      .toSorted((a, b) => b.accuracy - a.accuracy);
    if (rival === undefined || student === undefined) return nothing;
    const better = student.accuracy > rival.accuracy;
    return html`
      <p>${t(better ? 'lab.smallest.better' : 'lab.smallest.worse', {
        title: student.model.title[locale()],
        dtype: student.dtype,
        bytes: megabytes(student.bytes),
        accuracy: percent(student.accuracy),
        rival: t(`lab.baseline.${rival.name}`),
        theirs: percent(rival.accuracy),
      })}</p>`;
  }

  /** A small tuned model beside a large general one. @param {Point[]} all */
  renderGeneral(all) {
    const general = this.figures?.general;
    if (general === undefined) return nothing;
    const light = frontier(all).find(({ accuracy }) => accuracy >= general.accuracy);
    if (light === undefined) return nothing;
    return html`
      <p>${t('lab.general', {
        name: general.name,
        general: percent(general.accuracy),
        generalBytes: megabytes(general.bytes),
        n: number(general.n),
        title: light.model.title[locale()],
        dtype: light.dtype,
        accuracy: percent(light.accuracy),
        bytes: megabytes(light.bytes),
      })}</p>`;
  }
}

/** @param {readonly number[]} interval */
function range([low = 0, high = 0]) {
  return `${percent(low)}–${percent(high)}`;
}

customElements.define('pl-lab-panel', LabPanel);
