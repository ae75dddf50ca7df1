// A model before the click: what it is, what each dtype costs and keeps, and the button that says how
// many megabytes it will take.

import { qualityKey } from '../js/catalog.js';
import { locale, megabytes, number, t } from '../js/i18n.js';
import { html, nothing, PageElement, svg } from './element.js';
import './verdict_panel.js';

/**
 * @typedef {import('../js/catalog_types.js').Model} Model
 * @typedef {import('../js/plan.js').DownloadPlan & {choice: import('../js/device.js').DeviceChoice}} Plan
 */

/** The metrics that the card tells of. @type {Record<string, (value: number) => string>} */
const FIGURES = {
  spearman: (value) => decimal(value, 4),
  kl: (value) => decimal(value, 3),
  perplexity: (value) => decimal(value, 2),
  top1_agreement: (value) => number(value, { style: 'percent', maximumFractionDigits: 1 }),
};

export class ModelCard extends PageElement {
  /** @override */
  static properties = {
    model: { attribute: false },
    plan: { attribute: false },
    verdict: { attribute: false },
    measured: { attribute: false },
    dtype: {},
    timing: { type: Boolean },
    busy: { type: Boolean },
    loaded: { type: Boolean },
    paused: { type: Boolean },
    asking: { state: true },
  };

  constructor() {
    super();
    /** @type {Model | null} */
    this.model = null;
    /** @type {Plan | null} */
    this.plan = null;
    /** @type {import('../js/verdict.js').Verdict | null} */
    this.verdict = null;
    /** What was measured of the model that runs. @type {import('../js/pairs.js').Figures} */
    this.measured = {};
    this.dtype = '';
    /** Whether a cut model is being timed. */
    this.timing = false;
    this.busy = false;
    /** Whether the chosen dtype is the one that is running. */
    this.loaded = false;
    /** Whether a load was stopped to go on later. */
    this.paused = false;
    /** Whether the visitor is asked before megabytes are spent. */
    this.asking = false;
  }

  /** What the model is to run on here, as far as it is known. */
  get device() {
    return this.plan?.choice.devices[0] ?? 'wasm';
  }

  /** @param {string} dtype */
  choose(dtype) {
    this.dispatchEvent(new CustomEvent('pl-dtype', { detail: dtype, bubbles: true }));
  }

  start() {
    const { plan } = this;
    this.asking = !this.asking && plan !== null && plan.metered !== null && toFetch(plan) > 0;
    if (this.asking) return;
    this.dispatchEvent(new CustomEvent('pl-load', { bubbles: true }));
  }

  /** @override */
  render() {
    const { model, plan } = this;
    if (model === null) return nothing;
    return html`
      <article class="card" aria-labelledby="model-title">
        <div class="card__words">
          <h2 id="model-title" class="card__title">${model.title[locale()]}</h2>
          <p>${model.summary[locale()]}</p>
          ${this.renderDtypes(model)}
          ${this.renderFacts(model)}
        </div>
        <div class="card__scale">${plan === null ? nothing : this.renderScale(plan)}</div>
      </article>`;
  }

  /** @param {Model} model */
  renderDtypes(model) {
    const files = model.devices.wasm?.files ?? {};
    return html`
      <fieldset class="dtypes" ?disabled=${this.busy}>
        <legend>${t('card.dtype')}</legend>
        ${Object.keys(files).map((dtype) => {
          const bytes = model.files
            .filter((file) => files[dtype]?.includes(file.path))
            .reduce((sum, file) => sum + file.bytes, 0);
          const key = qualityKey(model, this.device, dtype);
          const quality = model.quality.find(
            (row) => row.dtype === key && row.metric === model.quality[0]?.metric,
          );
          return html`
            <label class="dtypes__row">
              <input type="radio" name="dtype" value=${dtype} .checked=${dtype === this.dtype}
                     @change=${() => this.choose(dtype)}>
              <span class="dtypes__name">${dtype}</span>
              <span class="dtypes__bytes">${megabytes(bytes, 2)}</span>
              <span class="dtypes__quality">${
                quality === undefined
                  ? nothing
                  : t('card.quality', {
                      metric: t(`metric.${quality.metric}`),
                      value: decimal(quality.value, 3),
                    })
              }</span>
            </label>`;
        })}
      </fieldset>`;
  }

  /** @param {Model} model */
  renderFacts(model) {
    const { parameters, license, source, shape } = model;
    const key = qualityKey(model, this.device, this.dtype);
    const rows = model.quality.filter(
      (row) => row.dtype === key && Object.hasOwn(FIGURES, row.metric),
    );
    return html`
      <dl class="facts">
        <div><dt>${t('card.parameters')}</dt><dd>${number(parameters.total)}</dd></div>
        <div><dt>${t('card.embedding')}</dt><dd>${number(parameters.embedding)}</dd></div>
        <div><dt>${t('card.shape')}</dt>
          <dd>${t('card.shape.value', { layers: shape.layers, hidden: shape.hidden, heads: shape.heads })}</dd></div>
        ${
          'context' in model.pipeline
            ? html`<div><dt>${t('card.context')}</dt>
                <dd>${t('card.context.value', { tokens: number(model.pipeline.context) })}</dd></div>`
            : nothing
        }
        ${rows.map(
          ({ metric, value, reference_value, n }) => html`
            <div><dt>${t(`metric.${metric}`)}</dt>
              <dd>${t(`quality.${metric}`, {
                value: figure(metric, value),
                reference: figure(metric, reference_value),
                n: number(n),
              })}</dd></div>`,
        )}
        <div><dt>${t('card.license')}</dt>
          <dd><a href=${license.url} rel="external">${license.name}</a> · ${license.attribution}</dd></div>
        <div><dt>${t('card.source')}</dt><dd>${source.locator} ${source.revision}</dd></div>
      </dl>`;
  }

  /** What the button says. @param {Plan} plan */
  label(plan) {
    if (this.loaded) return t('card.running');
    const values = { megabytes: megabytes(toFetch(plan)) };
    if (this.asking || this.verdict?.verdict === 'no') return t('card.load.anyway', values);
    if (this.paused) return t('card.resume', values);
    return t(plan.stored >= plan.model ? 'card.run' : 'card.load', values);
  }

  /** @param {Plan} plan */
  renderScale(plan) {
    const parts = /** @type {const} */ (['model', 'python', 'runtime']);
    let x = 0;
    const bars = parts.map((part) => {
      const width = (100 * plan[part]) / plan.total;
      const bar = { part, x, width };
      x += width;
      return bar;
    });
    const { choice } = plan;
    const { device } = this;
    return html`
      <p class="scale__label"><span class="corner corner--predicted">${t('predicted')}</span> ${t('card.download')}</p>
      <p class="scale__number" data-testid="plan-total">${megabytes(plan.total)}</p>
      <svg class="scale__bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        ${bars.map(({ part, x: left, width }) => svgBar(part, left, width))}
      </svg>
      <ul class="scale__parts">
        ${parts.map(
          (part) => html`
            <li><span class="swatch swatch--${part}"></span>${t(`part.${part}`)}
              <b>${megabytes(plan[part], 2)}</b> <small>${t('bytes', { count: number(plan[part]) })}</small></li>`,
        )}
      </ul>
      <p class="scale__device">${t(`device.${device}`)}: ${t(`reason.${choice.reason}`, { adapter: choice.adapter })}
        ${t(choice.threads === 1 ? 'threads.one' : 'threads.many', { count: choice.threads })}</p>
      <pl-verdict-panel .verdict=${this.verdict} ?stale=${![undefined, this.dtype].includes(this.verdict?.dtype)}
                        ?decided=${this.busy || this.loaded} .measured=${this.loaded ? this.measured : {}}
                        ?writes=${this.model?.task === 'text_generation'} ?timing=${this.timing}
                        fetches=${this.busy || this.loaded ? 0 : plan.timing}></pl-verdict-panel>
      ${plan.stored > 0 ? html`<p class="scale__stored">${t('card.stored', { stored: megabytes(plan.stored, 2) })}</p>` : nothing}
      ${this.asking ? html`<p class="notice" role="alert">${t(`card.metered.${plan.metered}`, { megabytes: megabytes(toFetch(plan)) })}</p>` : nothing}
      <button class="button" type="button" ?disabled=${this.busy || this.loaded} @click=${this.start}>
        ${this.label(plan)}
      </button>
      <p class="scale__note">${t('card.note')}</p>`;
  }
}

/** @param {Plan} plan bytes that are not here yet, as far as is known */
function toFetch({ total, stored }) {
  return total - stored;
}

/** @param {number} value @param {number} digits */
function decimal(value, digits) {
  return number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {string} metric @param {number} value */
function figure(metric, value) {
  return FIGURES[metric]?.(value) ?? number(value);
}

/** @param {string} part @param {number} x @param {number} width */
function svgBar(part, x, width) {
  return svg`<rect class="bar bar--${part}" x=${x} y="0" width=${width} height="6"></rect>`;
}

customElements.define('pl-model-card', ModelCard);
