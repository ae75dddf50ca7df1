// Will it run here? The verdict before the click, what it rests on, and each figure with its interval;
// after the load, what was measured stands in its place, and what was predicted beside it.

import { megabytes, number, seconds, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

/**
 * @typedef {import('../js/verdict.js').Verdict} Verdict
 * @typedef {import('../js/verdict.js').Figure} Figure
 * @typedef {import('../js/pairs.js').FigureName} FigureName
 */

/** @type {[FigureName, (verdict: Verdict) => Figure | null, (value: number) => string][]} */
const ROWS = [
  ['download', ({ seconds: { download } }) => download, duration],
  ['load', ({ seconds: { load } }) => load, duration],
  ['first_token', ({ seconds: { first_token } }) => first_token, duration],
  ['tokens_per_second', (verdict) => verdict.tokens_per_second, rate],
  ['memory', ({ memory }) => memory, (bytes) => megabytes(bytes, 0)],
];

export class VerdictPanel extends PageElement {
  /** @override */
  static properties = {
    verdict: { attribute: false },
    stale: { type: Boolean },
    decided: { type: Boolean },
    measured: { attribute: false },
    writes: { type: Boolean },
    fetches: { type: Number },
    timing: { type: Boolean },
  };

  constructor() {
    super();
    /** @type {Verdict | null} */
    this.verdict = null;
    /** Whether the verdict is on what was chosen before, until the next one is there. */
    this.stale = false;
    /** Whether the visitor has asked for the model. */
    this.decided = false;
    /** What was measured of the model that runs, if it is this one. @type {import('../js/pairs.js').Figures} */
    this.measured = {};
    /** Whether the model writes, and has a speed. */
    this.writes = false;
    /** Bytes that timing a cut model fetches; 0 where there is none to time. */
    this.fetches = 0;
    /** Whether one is being timed. */
    this.timing = false;
  }

  time() {
    this.dispatchEvent(new CustomEvent('pl-time', { bubbles: true }));
  }

  /** @override */
  render() {
    const { verdict } = this;
    const rows = ROWS.filter(([name]) => this.writes || name !== 'tokens_per_second');
    if (verdict === null) return this.decided ? this.renderMissed(rows) : renderWaiting();
    return html`
      <div class="verdict verdict--${verdict.verdict} ${this.stale ? 'verdict--stale' : ''}" aria-busy=${this.stale}
           data-testid="verdict">
        <p class="verdict__answer" role="status">${t(`verdict.${verdict.verdict}`)}</p>
        ${
          verdict.reasons.length === 0
            ? nothing
            : html`<ul class="verdict__reasons">${verdict.reasons.map((reason) => html`<li>${words(reason)}</li>`)}</ul>`
        }
        <dl class="verdict__figures">
          ${rows.map(([name, of, show]) => this.renderRow(name, of(verdict), show))}
        </dl>
        <p class="verdict__confidence">${t(`confidence.${verdict.confidence}`)} ${t(`basis.${verdict.basis}`)}</p>
        ${
          this.fetches > 0 &&
          ['probe', 'nothing'].includes(verdict.basis) &&
          verdict.verdict !== 'no'
            ? html`<button class="verdict__time" type="button" ?disabled=${this.timing} @click=${this.time}>${
                this.timing
                  ? t('verdict.timing')
                  : t('verdict.time', { megabytes: megabytes(this.fetches) })
              }</button>`
            : nothing
        }
      </div>`;
  }

  /** Who asks at once has what was measured, and nothing that was predicted. @param {typeof ROWS} rows */
  renderMissed(rows) {
    const measured = rows.filter(([name]) => this.measured[name] !== undefined);
    return html`
      <div class="verdict verdict--missed" data-testid="verdict">
        <p>${t('verdict.missed')}</p>
        <dl class="verdict__figures">${measured.map(([name, , show]) => this.renderRow(name, null, show))}</dl>
      </div>`;
  }

  /** @param {FigureName} name @param {Figure | null} figure @param {(value: number) => string} show */
  renderRow(name, figure, show) {
    const value = this.measured[name];
    const label = t(name === 'first_token' && !this.writes ? 'figure.answer' : `figure.${name}`);
    if (figure === null && value === undefined) {
      return html`<div><dt>${label}</dt><dd>${t('figure.unknown')}</dd></div>`;
    }
    return html`
      <div>
        <dt>${label}</dt>
        ${value === undefined ? nothing : html`<dd>${corner('measured')} <b>${show(value)}</b></dd>`}
        ${
          figure === null
            ? nothing
            : html`<dd>${corner(figure.kind)} ${value === undefined ? html`<b>${show(figure.value)}</b>` : show(figure.value)}
                ${figure.low === figure.high ? nothing : html`<small>${t('figure.range', { low: show(figure.low), high: show(figure.high) })}</small>`}</dd>`
        }
      </div>`;
  }
}

function renderWaiting() {
  return html`<div class="verdict verdict--waiting"><p role="status">${t('verdict.waiting')}</p></div>`;
}

/** @param {Figure['kind']} kind */
function corner(kind) {
  return html`<span class="corner corner--${kind}">${t(kind)}</span>`;
}

/** @param {import('../js/verdict.js').Reason} reason */
function words({ code, limit = 0, needed = 0 }) {
  const show = code === 'slow' ? rate : (/** @type {number} */ bytes) => megabytes(bytes, 0);
  return t(`verdict.reason.${code}`, { limit: show(limit), needed: show(needed) });
}

/** @param {number} value seconds */
function duration(value) {
  if (value < 10) return seconds(value);
  const rounded = number(value, { maximumFractionDigits: 0 });
  return `${rounded}\u00a0s`;
}

/** @param {number} value */
function rate(value) {
  return t('chat.rate', { rate: number(value, { maximumSignificantDigits: 3 }) });
}

customElements.define('pl-verdict-panel', VerdictPanel);
