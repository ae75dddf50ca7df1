// Every file with its bytes and its time, as rows and a waterfall: DevTools' Network panel, for this page.

import { locale, megabytes, number, t } from '../js/i18n.js';
import { collect, GROUPS, groupOf, keepEveryRequest, totals } from '../js/ledger.js';
import { toCsv, toHar } from '../js/ledger_export.js';
import { timeline } from '../js/ledger_timeline.js';
import { saveFile } from '../js/save_file.js';
import { html, nothing, PageElement } from './element.js';

/**
 * @typedef {import('../js/ledger.js').Fetched} Fetched
 * @typedef {import('../js/ledger.js').Row} Row
 * @typedef {import('../js/ledger.js').Sum} Sum
 */

const STEPS = ['open', 'cold', 'size', 'workers', 'service_worker', 'warm', 'stored'];

export class LedgerPanel extends PageElement {
  /** @override */
  static properties = {
    stats: { attribute: false },
    open: { state: true },
  };

  constructor() {
    super();
    /** @type {import('../js/pesoleve.js').Stats | null} of the model that runs */
    this.stats = null;
    this.open = false;
    /** @type {Set<Fetched[]>} what each load fetched, those of earlier models too */
    this.loads = new Set();
    /** @type {Row[]} */
    this.rows = [];
    this.observer = new PerformanceObserver(() => this.requestUpdate());
    keepEveryRequest();
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.observer.observe({ type: 'resource' });
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.observer.disconnect();
  }

  /** @override @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    if (changed.has('stats') && this.stats !== null) {
      if (this.loads.size === 0) this.open = true;
      this.loads.add(/** @type {Fetched[]} */ (this.stats.files));
    }
    this.rows = collect([...this.loads]);
  }

  saveCsv() {
    saveFile('peso-leve.csv', toCsv(this.rows), 'text/csv');
  }

  saveHar() {
    const har = toHar(this.rows, { title: document.title, origin: performance.timeOrigin });
    saveFile('peso-leve.har', JSON.stringify(har, null, 1), 'application/json');
  }

  /** @override */
  render() {
    const sums = totals(this.rows);
    const { files, cold, now } = sums.total;
    const headline = { files: number(files), cold: megabytes(cold, 2), now: megabytes(now, 2) };
    return html`
      <section class="ledger" aria-labelledby="ledger-title">
        <details ?open=${this.open} @toggle=${this.toggle}>
          <summary class="ledger__summary">
            <h2 id="ledger-title">${t('ledger.title')}</h2>
            <span class="ledger__headline">${t('ledger.headline', headline)}</span>
          </summary>
          ${this.open ? this.renderBody(sums) : nothing}
        </details>
      </section>`;
  }

  /** @param {Event} event */
  toggle(event) {
    this.open = /** @type {HTMLDetailsElement} */ (event.target).open;
  }

  /** @param {ReturnType<typeof totals>} sums */
  renderBody(sums) {
    const axis = timeline(this.rows.flatMap(({ requests }) => requests));
    const pauses = axis.gaps.map((gap) => time(gap.seconds, 1));
    const list = new Intl.ListFormat(locale());
    return html`
      <p>${t('ledger.intro')}</p>
      ${this.renderTotals(sums)}
      ${this.renderRows(axis)}
      <ul class="ledger__legend">
        <li><span class="ledger__key"></span>${t('ledger.legend.network')}</li>
        <li><span class="ledger__key ledger__key--kept"></span>${t('ledger.legend.kept')}</li>
        ${
          pauses.length === 0
            ? nothing
            : html`<li><span class="ledger__key ledger__key--gap"></span>${t('ledger.legend.gap', { pauses: list.format(pauses) })}</li>`
        }
      </ul>
      <p class="ledger__save">
        <button class="button button--quiet" type="button" @click=${this.saveCsv}>${t('ledger.csv')}</button>
        <button class="button button--quiet" type="button" @click=${this.saveHar}>${t('ledger.har')}</button>
      </p>
      <details class="ledger__how">
        <summary>${t('ledger.devtools')}</summary>
        <ol>${STEPS.map((step) => html`<li>${t(`ledger.devtools.${step}`)}</li>`)}</ol>
      </details>`;
  }

  /** @param {ReturnType<typeof totals>} sums */
  renderTotals(sums) {
    const bars = /** @type {const} */ (['cold', 'now']);
    const longest = Math.max(sums.total.cold, sums.total.now) || 1;
    return html`
      <div class="ledger__totals">
        <div class="ledger__bars" aria-hidden="true">
          ${bars.map(
            (key) => html`
              <p>${t(`ledger.${key}`)} <b>${megabytes(sums.total[key], 2)}</b></p>
              <div class="ledger__bar">
                ${GROUPS.map(
                  (group) => html`
                    <span class="ledger__part ledger--${group}" .style=${`--part: ${sums[group][key] / longest}`}></span>`,
                )}
              </div>`,
          )}
        </div>
        <table>
          <caption>${t('ledger.totals')}</caption>
          <thead><tr>
            <th scope="col">${t('ledger.part')}</th>
            <th scope="col" class="right">${t('ledger.files')}</th>
            <th scope="col" class="right">${t('ledger.cold')}</th>
            <th scope="col" class="right">${t('ledger.now')}</th>
            <th scope="col" class="right">${t('column.decoded')}</th>
          </tr></thead>
          <tbody>${GROUPS.map((group) => this.renderSum(group, sums[group]))}</tbody>
          <tfoot>${this.renderSum('total', sums.total)}</tfoot>
        </table>
      </div>`;
  }

  /** @param {string} name @param {Sum} sum */
  renderSum(name, { files, cold, now, decoded }) {
    return html`
      <tr>
        <th scope="row">${name === 'total' ? nothing : html`<span class="ledger__swatch ledger--${name}"></span>`}${t(`ledger.part.${name}`)}</th>
        ${[files, cold, now, decoded].map((value) => html`<td class="right">${number(value)}</td>`)}
      </tr>`;
  }

  /**
   * Roles are said aloud, for a narrow page lays the rows out as blocks.
   *
   * @param {import('../js/ledger_timeline.js').Timeline} axis
   */
  renderRows(axis) {
    const names = ['file', 'role', 'from', 'wire', 'now', 'decoded', 'start', 'seconds'];
    return html`
      <div class="ledger__scroll" role="region" tabindex="0" aria-label=${t('ledger.rows')}>
        <table class="ledger__table" role="table">
          <caption>${t('ledger.rows')}</caption>
          <thead role="rowgroup"><tr role="row">
            ${names.map(
              (name, index) =>
                html`<th scope="col" role="columnheader" class=${index > 2 ? 'right' : ''}>${t(columnKey(name))}</th>`,
            )}
            <th scope="col" role="columnheader" class="ledger__axis">${t('ledger.waterfall')}
              <span class="ledger__times" aria-hidden="true"><span>${time(0)}</span><span>${time(axis.end)}</span></span></th>
          </tr></thead>
          <tbody role="rowgroup">${this.rows.map((row) => this.renderRow(row, axis))}</tbody>
        </table>
      </div>`;
  }

  /** @param {Row} row @param {import('../js/ledger_timeline.js').Timeline} axis */
  renderRow(row, axis) {
    const group = groupOf(row.role);
    const times = row.requests.length;
    const origin = t(`ledger.from.${row.from}`);
    const from = times > 1 ? t('ledger.times', { from: origin, count: times }) : origin;
    const figures = [
      ['wire', number(row.wireBytes)],
      ['now', number(row.bytes)],
      ['decoded', number(row.decodedBytes)],
      ['start', time(row.start)],
      ['seconds', time(row.seconds)],
    ];
    return html`
      <tr role="row">
        <th scope="row" role="rowheader" class="ledger__file">${breakable(row.path)}</th>
        <td role="cell" class="ledger__role"><span class="ledger__swatch ledger--${group}"></span>${t(`role.${row.role}`)}</td>
        <td role="cell" class="ledger__from" data-label=${t('ledger.from')}>${from}</td>
        ${figures.map(
          ([name = '', text]) =>
            html`<td role="cell" class="right ledger__${name}" data-label=${t(columnKey(name))}>${text}</td>`,
        )}
        <td role="cell" class="ledger__lane">
          <span class="ledger__track" aria-hidden="true">
            ${axis.gaps.map((gap) => html`<span class="ledger__gap" .style=${placed(gap)}></span>`)}
            ${row.requests.map(
              (request) => html`
                <span class="ledger__span ledger--${group} ${request.bytes > 0 ? '' : 'ledger__span--kept'}"
                      .style=${placed(axis.place(request))}></span>`,
            )}
          </span>
        </td>
      </tr>`;
  }
}

/** @param {string} name */
function columnKey(name) {
  return ['file', 'role', 'wire', 'decoded'].includes(name) ? `column.${name}` : `ledger.${name}`;
}

/** A path that may break after a folder. @param {string} path */
function breakable(path) {
  return path.split(/(?<=\/)/).map((part) => html`${part}<wbr>`);
}

/** Of a column, so always with the same digits. @param {number} value seconds @param {number} [digits] */
function time(value, digits = 3) {
  const text = number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text}\u00a0s`;
}

/** @param {{at: number, width: number}} place parts of 1 */
function placed({ at, width }) {
  return `--at: ${at.toFixed(5)}; --width: ${width.toFixed(5)}`;
}

customElements.define('pl-ledger-panel', LedgerPanel);
