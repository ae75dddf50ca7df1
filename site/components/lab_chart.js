// Accuracy against bytes on the wire, a point a form of a model; its area is the time a sentence takes.
// The line joins those that nothing lighter is as often right as.

import { locale, megabytes, number, t } from '../js/i18n.js';
import { frontier, pointKey } from '../js/lab.js';
import { html, nothing, PageElement, svg } from './element.js';

/** @typedef {import('../js/lab.js').Point} Point */

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 56;
const RIGHT = 16;
const TOP = 16;
const BOTTOM = 44;
const TICKS_MB = [0.5, 1, 2, 5, 10, 20, 50, 100];

export class LabChart extends PageElement {
  /** @override */
  static properties = {
    points: { attribute: false },
    baselines: { attribute: false },
    chosen: { attribute: false },
    current: {},
  };

  constructor() {
    super();
    /** @type {Point[]} */
    this.points = [];
    /** @type {import('../js/lab.js').Figures['baselines']} */
    this.baselines = [];
    /** @type {Set<string>} by `pointKey`: those to be tried */
    this.chosen = new Set();
    /** The one whose chain is shown. */
    this.current = '';
  }

  get scale() {
    const accuracies = [...this.points, ...this.baselines].map(({ accuracy }) => accuracy);
    const low = Math.max(
      0,
      Math.floor(Math.min(...accuracies.filter((a) => a > 0.6)) * 50 - 0.5) / 50,
    );
    const high = Math.min(1, Math.ceil(Math.max(...accuracies) * 50 + 0.5) / 50);
    const sizes = this.points.map(({ bytes }) => bytes / 1e6);
    const [light, heavy] = [Math.min(...sizes) / 1.4, Math.max(...sizes) * 1.3];
    const across = Math.log(heavy / light);
    return {
      low,
      high,
      light,
      heavy,
      x: (/** @type {number} */ mb) =>
        LEFT + (Math.log(mb / light) / across) * (WIDTH - LEFT - RIGHT),
      y: (/** @type {number} */ accuracy) =>
        TOP + ((high - accuracy) / (high - low)) * (HEIGHT - TOP - BOTTOM),
    };
  }

  /** @param {Point} point */
  choose(point) {
    this.dispatchEvent(new CustomEvent('pl-point', { detail: pointKey(point), bubbles: true }));
  }

  /** @param {KeyboardEvent} event @param {Point} point */
  press(event, point) {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    this.choose(point);
  }

  /** @override */
  render() {
    if (this.points.length === 0) return nothing;
    const { scale } = this;
    const best = frontier(this.points);
    const keys = new Set(best.map(pointKey));
    const slowest = Math.max(1, ...this.points.map(({ milliseconds }) => milliseconds ?? 0));
    const line = best.map((p) => `${scale.x(p.bytes / 1e6)},${scale.y(p.accuracy)}`).join(' ');
    return html`
      <svg class="lab-chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="group" aria-label=${t('lab.chart')}>
        ${this.renderAxes(scale)}
        ${this.baselines.map((baseline) => this.renderBaseline(baseline, scale))}
        <polyline class="lab-chart__frontier" points=${line}></polyline>
        ${[...this.points]
          .sort((a, b) => (b.milliseconds ?? 0) - (a.milliseconds ?? 0))
          .map((p) => this.renderPoint(p, keys.has(pointKey(p)), slowest, scale))}
      </svg>`;
  }

  /** @param {LabChart['scale']} scale */
  renderAxes({ low, high, light, heavy, x, y }) {
    const steps = Math.round((high - low) / 0.02);
    const rows = Array.from({ length: steps + 1 }, (_, i) => low + i * 0.02);
    return svg`
      ${rows.map(
        (value) => svg`
          <line class="lab-chart__grid" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(value)} y2=${y(value)}></line>
          <text class="lab-chart__tick" x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${percent(value, 0)}</text>`,
      )}
      ${TICKS_MB.filter((mb) => mb > light && mb < heavy).map(
        (mb) => svg`
          <text class="lab-chart__tick" x=${x(mb)} y=${HEIGHT - BOTTOM + 20} text-anchor="middle">${number(mb)}</text>`,
      )}
      <text class="lab-chart__tick" x=${WIDTH - RIGHT} y=${HEIGHT - 4} text-anchor="end">${t('lab.axis')}</text>`;
  }

  /** @param {{name: string, accuracy: number}} baseline @param {LabChart['scale']} scale */
  renderBaseline({ name, accuracy }, { low, y }) {
    if (accuracy < low) return nothing;
    return svg`
      <line class="lab-chart__baseline" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(accuracy)} y2=${y(accuracy)}></line>
      <text class="lab-chart__tick" x=${WIDTH - RIGHT} y=${y(accuracy) - 5} text-anchor="end">${t(`lab.baseline.${name}`)}</text>`;
  }

  /** @param {Point} point @param {boolean} unbeaten @param {number} slowest @param {LabChart['scale']} scale */
  renderPoint(point, unbeaten, slowest, { x, y }) {
    const key = pointKey(point);
    const radius = 4 + 10 * Math.sqrt((point.milliseconds ?? 0) / slowest);
    const across = x(point.bytes / 1e6);
    const down = y(point.accuracy);
    const kinds = ['lab-chart__point'];
    if (unbeaten) kinds.push('lab-chart__point--unbeaten');
    if (key === this.current) kinds.push('lab-chart__point--current');
    return svg`
      <g class=${kinds.join(' ')} role="button" tabindex="0" aria-pressed=${key === this.current}
         aria-label=${describe(point)} @click=${() => this.choose(point)}
         @keydown=${(/** @type {KeyboardEvent} */ event) => this.press(event, point)}>
        <circle cx=${across} cy=${down} r=${radius}></circle>
        ${
          this.chosen.has(key)
            ? svg`<circle class="lab-chart__chosen" cx=${across} cy=${down} r=${radius + 4}></circle>`
            : nothing
        }
        ${
          unbeaten || key === this.current
            ? svg`<text class="lab-chart__name" x=${across} y=${down - radius - 5} text-anchor=${anchor(across)}>${point.model.title[locale()]} ${point.dtype}</text>`
            : nothing
        }
      </g>`;
  }
}

/** @param {number} across */
function anchor(across) {
  if (across < WIDTH * 0.2) return 'start';
  return across > WIDTH * 0.8 ? 'end' : 'middle';
}

/** @param {number} share @param {number} [digits] */
export function percent(share, digits = 1) {
  return number(share, {
    style: 'percent',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** @param {Point} point */
function describe({ model, dtype, bytes, accuracy, milliseconds }) {
  const values = {
    title: model.title[locale()],
    dtype,
    megabytes: megabytes(bytes),
    accuracy: percent(accuracy),
  };
  return milliseconds === null
    ? t('lab.point', values)
    : t('lab.point.timed', { ...values, milliseconds: number(Math.round(milliseconds * 10) / 10) });
}

customElements.define('pl-lab-chart', LabChart);
