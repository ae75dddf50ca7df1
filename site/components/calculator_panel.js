// Weigh any model: why 2B is not 2 GB, and a calculator for a pasted configuration. Opening it boots
// Python, whose megabytes are announced on it.

import { Calculator, judgeAnswer, publishedModels } from '../js/calculator.js';
import { gigabytes, megabytes, number, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';
import './verdict_panel.js';

/**
 * @typedef {import('../js/calculator.js').Answer} Answer
 * @typedef {import('../js/calculator.js').Published} Published
 */

const SHOWN = ['fp32', 'fp16', 'q8_0', 'q4_0'];
const FIRST = 'q4_1';
const WASM32 = 2 ** 32;

export class CalculatorPanel extends PageElement {
  /** @override */
  static properties = {
    python: { type: Number },
    published: { state: true },
    working: { state: true },
    answer: { state: true },
    problem: { state: true },
    dtype: { state: true },
    verdict: { state: true },
  };

  constructor() {
    super();
    /** Bytes of Python, on the wire. */
    this.python = 0;
    /** @type {Published[]} */
    this.published = [];
    this.working = false;
    /** @type {Answer | null} */
    this.answer = null;
    /** @type {{code: string, detail: string} | null} */
    this.problem = null;
    this.dtype = FIRST;
    /** @type {import('../js/verdict.js').Verdict | null} */
    this.verdict = null;
    /** @type {Calculator | null} */
    this.calculator = null;
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    publishedModels().then(
      (models) => {
        this.published = models;
      },
      (error) => this.fail(error),
    );
  }

  /** @param {unknown} detail */
  fail(detail) {
    this.dispatchEvent(new CustomEvent('pl-failure', { detail, bubbles: true }));
  }

  /** Boot Python when the calculator is opened, and only then. @param {Event} event */
  toggle({ target }) {
    if (/** @type {HTMLDetailsElement} */ (target).open) this.boot();
  }

  boot() {
    if (this.calculator !== null && this.calculator.client.dead === null) return this.calculator;
    this.calculator = new Calculator();
    this.calculator.ready.catch((error) => this.fail(error));
    return this.calculator;
  }

  /** @param {Event} event */
  async submit(event) {
    event.preventDefault();
    const field = /** @type {HTMLTextAreaElement} */ (this.querySelector('.calculator__input'));
    this.working = true;
    this.problem = null;
    try {
      const { ok, error } = await this.boot().weigh(field.value);
      this.answer = ok ?? null;
      this.problem = error ?? null;
      if (ok !== undefined) await this.choose(this.dtype);
    } catch (error) {
      this.fail(error);
    }
    this.working = false;
  }

  /** @param {string} dtype */
  async choose(dtype) {
    const { answer } = this;
    if (answer === null) return;
    this.dtype = dtype;
    const found = await judgeAnswer(answer, dtype);
    if (answer === this.answer && dtype === this.dtype) this.verdict = found;
  }

  /** @param {Published} model */
  fill({ config }) {
    const field = /** @type {HTMLTextAreaElement} */ (this.querySelector('.calculator__input'));
    field.value = JSON.stringify(config, null, 2);
    field.focus();
  }

  /** @override */
  render() {
    return html`
      <section class="calculator" aria-labelledby="calculator-title">
        <h2 id="calculator-title">${t('calculator.why')}</h2>
        <p>${t('calculator.why.text', this.example())}</p>
        ${this.renderPublished()}
        <details class="calculator__tool" @toggle=${this.toggle}>
          <summary>${t('calculator.open', { megabytes: megabytes(this.python) })}</summary>
          <form @submit=${this.submit}>
            <label class="calculator__label" for="calculator-input">${t('calculator.input')}</label>
            <textarea id="calculator-input" class="calculator__input" rows="8" spellcheck="false" autocomplete="off"
                      aria-describedby="calculator-problem" placeholder="2B"></textarea>
            <p class="calculator__fill">${t('calculator.fill')}
              ${this.published.map(
                (model) => html`
                  <button class="button button--quiet" type="button" @click=${() => this.fill(model)}>${model.name}</button>`,
              )}
            </p>
            <p id="calculator-problem" role="alert">${
              this.problem === null
                ? ''
                : t(`calculator.problem.${this.problem.code}`, { detail: this.problem.detail })
            }</p>
            <button class="button" type="submit" ?disabled=${this.working}>${t(
              this.working ? 'calculator.working' : 'calculator.weigh',
            )}</button>
          </form>
          ${this.answer === null ? nothing : this.renderAnswer(this.answer)}
        </details>
      </section>`;
  }

  /** @returns {Record<string, string>} the figures of the text: Gemma 2B's own */
  example() {
    const gemma = this.published.find(({ name }) => name === 'Gemma 2B')?.weighed;
    return {
      total: number(gemma?.parameters.total ?? 0),
      embedding: number(gemma?.parameters.embedding ?? 0),
      limit: gigabytes(WASM32),
    };
  }

  renderPublished() {
    return html`
      <div class="calculator__scroll" tabindex="0" role="region" aria-label=${t('calculator.table')}>
        <table>
          <caption class="visually-hidden">${t('calculator.table')}</caption>
          <thead><tr>
            <th scope="col">${t('calculator.model')}</th>
            <th scope="col" class="right">${t('card.parameters')}</th>
            ${SHOWN.map((dtype) => html`<th scope="col" class="right">${dtype}</th>`)}
            <th scope="col" class="right">${t('calculator.memory')}</th>
          </tr></thead>
          <tbody>${this.published.map(({ name, weighed: { parameters, dtypes } }) => {
            const least = Math.min(...Object.values(dtypes).map((size) => size.memory_bytes));
            return html`
              <tr>
                <th scope="row">${name}</th>
                <td class="right">${number(parameters.total)}</td>
                ${SHOWN.map((dtype) => html`<td class="right">${gigabytes(dtypes[dtype]?.wire_bytes ?? 0)}</td>`)}
                <td class="right">${gigabytes(least)}${least > WASM32 ? ` ${t('calculator.too_much')}` : ''}</td>
              </tr>`;
          })}</tbody>
        </table>
      </div>`;
  }

  /** @param {Answer} answer */
  renderAnswer({ parameters, weight_class, dtypes, encoder }) {
    return html`
      <p class="calculator__sum" role="status">${t('calculator.sum', {
        class: t(`class.${weight_class}`),
        total: number(parameters.total),
        embedding: number(parameters.embedding),
      })}</p>
      <div class="calculator__scroll" tabindex="0" role="region" aria-label=${t('card.dtype')}>
        <table>
          <caption>${t('card.dtype')}</caption>
          <thead><tr>
            <th scope="col">dtype</th>
            <th scope="col" class="right">${t('column.wire')}</th>
            <th scope="col" class="right">${t('column.decoded')}</th>
            <th scope="col" class="right">${t('calculator.memory')}</th>
            <th scope="col" class="right">${t('calculator.kv')}</th>
          </tr></thead>
          <tbody>${Object.entries(dtypes).map(
            ([dtype, size]) => html`
              <tr>
                <th scope="row"><label class="calculator__dtype"><input type="radio" name="calculator-dtype" value=${dtype}
                  .checked=${dtype === this.dtype} @change=${() => this.choose(dtype)}> ${dtype}</label></th>
                <td class="right">${megabytes(size.wire_bytes)}<br><small>${t('figure.range', {
                  low: megabytes(size.wire_range[0]),
                  high: megabytes(size.wire_range[1]),
                })}</small></td>
                <td class="right">${megabytes(size.decoded_bytes)}</td>
                <td class="right">${megabytes(size.memory_bytes, 0)}</td>
                <td class="right">${size.kv_bytes_per_token === null ? '?' : number(size.kv_bytes_per_token)}</td>
              </tr>`,
          )}</tbody>
        </table>
      </div>
      <pl-verdict-panel .verdict=${this.verdict} ?writes=${!encoder}></pl-verdict-panel>`;
  }
}

customElements.define('pl-calculator-panel', CalculatorPanel);
