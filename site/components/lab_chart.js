// Accuracy against bytes on the wire, a point a form of a model; its area is the time a sentence takes.
// The line joins those that nothing lighter is as often right as.

import { locale, megabytes, number, t } from '../js/i18n.js';
import { frontier, pointKey } from '../js/lab.js';
import { html, nothing, PageElement, svg } from './element.js';

/** @typedef {import('../js/lab.js').Point} Point */

const NARROWEST = 320;
const HEIGHT = 400;
const LEFT = 48;
const RIGHT = 16;
const TOP = 16;
const BOTTOM = 44;
const TICKS_MB = [0.5, 1, 2, 5, 10, 20, 50, 100];
/** A name takes about so much room; one that would lie on another is left to whoever chooses its point. */
const NAME_WIDTH = 190;
const NAME_HEIGHT = 16;

export class LabChart extends PageElement {
  /** @override */
  static properties = {
    points: { attribute: false },
    baselines: { attribute: false },
    chosen: { attribute: false },
    current: {},
    width: { state: true },
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
    /** In pixels: letters stay as large as everywhere on the page. */
    this.width = 720;
    this.observer = new ResizeObserver(([entry]) => {
      this.width = Math.max(NARROWEST, Math.floor(entry?.contentRect.width ?? this.width));
    });
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.observer.observe(this);
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.observer.disconnect();
  }

  get scale() {
    const { width } = this;
    // A competitor that is far below all models would leave them no room: it is in the table.
    const accuracies = this.points.map(({ accuracy }) => accuracy);
    const low = Math.max(0, Math.floor(Math.min(...accuracies) * 50 - 0.5) / 50);
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
        LEFT + (Math.log(mb / light) / across) * (width - LEFT - RIGHT),
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
    const named = this.names(best);
    const line = best.map((p) => `${scale.x(p.bytes / 1e6)},${scale.y(p.accuracy)}`).join(' ');
    return html`
      <svg class="lab-chart" viewBox="0 0 ${this.width} ${HEIGHT}" role="group" aria-label=${t('lab.chart')}>
        ${this.renderAxes(scale)}
        ${this.baselines.map((baseline) => this.renderBaseline(baseline, scale))}
        <polyline class="lab-chart__frontier" points=${line}></polyline>
        ${[...this.points]
          .sort((a, b) => (b.milliseconds ?? 0) - (a.milliseconds ?? 0))
          .map((p) => this.renderPoint(p, keys.has(pointKey(p)), named.has(pointKey(p)), slowest))}
      </svg>`;
  }

  /** @param {LabChart['scale']} scale */
  renderAxes({ low, high, light, heavy, x, y }) {
    const steps = Math.round((high - low) / 0.02);
    const rows = Array.from({ length: steps + 1 }, (_, i) => low + i * 0.02);
    return svg`
      ${rows.map(
        (value) => svg`
          <line class="lab-chart__grid" x1=${LEFT} x2=${this.width - RIGHT} y1=${y(value)} y2=${y(value)}></line>
          <text class="lab-chart__tick" x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${percent(value, 0)}</text>`,
      )}
      ${TICKS_MB.filter((mb) => mb > light && mb < heavy).map(
        (mb) => svg`
          <text class="lab-chart__tick" x=${x(mb)} y=${HEIGHT - BOTTOM + 20} text-anchor="middle">${number(mb)}</text>`,
      )}
      <text class="lab-chart__tick" x=${this.width - RIGHT} y=${HEIGHT - 4} text-anchor="end">${t('lab.axis')}</text>`;
  }

  /** @param {{name: string, accuracy: number}} baseline @param {LabChart['scale']} scale */
  renderBaseline({ name, accuracy }, { low, y }) {
    if (accuracy < low) return nothing;
    return svg`
      <line class="lab-chart__baseline" x1=${LEFT} x2=${this.width - RIGHT} y1=${y(accuracy)} y2=${y(accuracy)}></line>
      <text class="lab-chart__tick" x=${this.width - RIGHT} y=${y(accuracy) - 5} text-anchor="end">${t(`lab.baseline.${name}`)}</text>`;
  }

  /** Which points are named: the chosen one, then those of the frontier that leave its name free. @param {Point[]} best */
  names(best) {
    const { x, y } = this.scale;
    const current = this.points.filter((point) => pointKey(point) === this.current);
    /** @type {{key: string, across: number, down: number}[]} */
    const placed = [];
    for (const point of [...current, ...best]) {
      const [across, down] = [x(point.bytes / 1e6), y(point.accuracy)];
      const free = placed.every(
        (other) =>
          Math.abs(other.across - across) > NAME_WIDTH || Math.abs(other.down - down) > NAME_HEIGHT,
      );
      if (free) placed.push({ key: pointKey(point), across, down });
    }
    return new Set(placed.map(({ key }) => key));
  }

  /** @param {Point} point @param {boolean} unbeaten @param {boolean} named @param {number} slowest */
  renderPoint(point, unbeaten, named, slowest) {
    const { x, y } = this.scale;
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
          named
            ? svg`<text class="lab-chart__name" x=${across} y=${down - radius - 5} text-anchor=${anchor(across / this.width)}>${point.model.title[locale()]} ${point.dtype}</text>`
            : nothing
        }
      </g>`;
  }
}

/** @param {number} across the share of the width */
function anchor(across) {
  if (across < 0.3) return 'start';
  return across > 0.7 ? 'end' : 'middle';
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
