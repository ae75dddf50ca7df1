// The page: one tagged state, and what the visitor does to it.

import '../components/failure_notice.js';
import '../components/language_switch.js';
import '../components/load_progress.js';
import '../components/measurements.js';
import '../components/model_card.js';
import '../components/semantic_search.js';
import '../components/weight_ladder.js';
import { html, nothing, PageElement } from '../components/element.js';
import { aborted, asPesoLeveError } from './errors.js';
import { chooseLocale, localeChanges, setLocale, t } from './i18n.js';
import { LoadProgress } from './load_state.js';
import { catalog, load, plan } from './pesoleve.js';

/**
 * @typedef {import('./catalog_types.js').Model} Entry
 * @typedef {import('../components/model_card.js').Plan} Plan
 * @typedef {(
 *   | {kind: 'starting'}
 *   | {kind: 'choosing'}
 *   | {kind: 'loading', progress: import('./load_state.js').LoadState, abort: AbortController}
 *   | {kind: 'ready', model: import('./pesoleve.js').Model, predicted: number}
 *   | {kind: 'failed', error: import('./errors.js').PesoLeveError}
 * )} State
 */

/** A visitor, or a test, may ask for a device in the address: ?device=wasm. */
const DEVICE = /** @type {import('./device.js').DeviceOption} */ (
  new URLSearchParams(location.search).get('device') ?? 'auto'
);

class Page extends PageElement {
  /** @override */
  static properties = {
    state: { state: true },
    plan: { state: true },
    dtype: { state: true },
    runs: { state: true },
  };

  constructor() {
    super();
    /** @type {State} */
    this.state = { kind: 'starting' };
    /** @type {Entry | null} */
    this.entry = null;
    /** @type {Plan | null} */
    this.plan = null;
    this.dtype = '';
    this.runs = 0;
    this.addEventListener('pl-dtype', (event) =>
      this.choose(/** @type {CustomEvent} */ (event).detail),
    );
    this.addEventListener('pl-load', () => this.load());
    this.addEventListener('pl-cancel', () => this.cancel());
    this.addEventListener('pl-ran', () => {
      this.runs += 1;
    });
    this.addEventListener('pl-failure', (event) =>
      this.fail(/** @type {CustomEvent} */ (event).detail),
    );
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.start();
  }

  async start() {
    try {
      const models = await catalog();
      this.entry = models[0] ?? null;
      this.state = { kind: 'choosing' };
      if (this.entry !== null) await this.choose(this.entry.default_dtype);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {string} dtype */
  async choose(dtype) {
    if (this.entry === null) return;
    this.dtype = dtype;
    try {
      this.plan = await plan(this.entry.id, { device: DEVICE, dtype });
    } catch (error) {
      this.fail(error);
    }
  }

  async load() {
    if (this.entry === null) return this.start();
    if (this.plan === null) await this.choose(this.dtype || this.entry.default_dtype);
    if (this.plan === null || this.state.kind === 'loading') return;
    const abort = new AbortController();
    const progress = new LoadProgress(this.plan);
    const show = () => {
      if (!abort.signal.aborted)
        this.state = { kind: 'loading', progress: progress.state(), abort };
    };
    if (this.state.kind === 'ready') await this.state.model.dispose();
    show();
    try {
      const predicted = this.plan.total;
      const model = await load(this.entry.id, {
        device: DEVICE,
        dtype: this.dtype,
        signal: abort.signal,
        onProgress: (step) => {
          progress.add(step);
          show();
        },
      });
      this.runs = 0;
      this.state = { kind: 'ready', model, predicted };
    } catch (error) {
      this.fail(error);
    }
  }

  cancel() {
    if (this.state.kind === 'loading') this.state.abort.abort(aborted());
  }

  /** @param {unknown} error */
  fail(error) {
    this.state = { kind: 'failed', error: asPesoLeveError(error) };
  }

  /** @override @param {Map<string, unknown>} changed */
  updated(changed) {
    if (!changed.has('state')) return;
    // The button that had the focus is gone: the keyboard goes on where the eye does.
    const before = /** @type {State | undefined} */ (changed.get('state'));
    if (this.state.kind === before?.kind) return;
    if (this.state.kind === 'loading') this.focusIn('pl-load-progress', 'button');
    if (this.state.kind === 'ready') this.focusIn('pl-semantic-search', 'input');
  }

  /** @param {string} component @param {string} control */
  async focusIn(component, control) {
    const element = /** @type {PageElement | null} */ (this.querySelector(component));
    await element?.updateComplete;
    /** @type {HTMLElement | null | undefined} */ (element?.querySelector(control))?.focus();
  }

  /** @override */
  render() {
    const { state, entry } = this;
    if (state.kind === 'starting') return html`<p role="status">${t('page.starting')}</p>`;
    const busy = state.kind === 'loading';
    const model = state.kind === 'ready' ? state.model : null;
    return html`
      ${state.kind === 'failed' ? html`<pl-failure-notice .error=${state.error} canRetry></pl-failure-notice>` : nothing}
      ${
        entry === null
          ? html`<p>${state.kind === 'failed' ? nothing : t('page.empty')}</p>`
          : html`
            <pl-weight-ladder current=${entry.weight_class} parameters=${entry.parameters.total}></pl-weight-ladder>
            <pl-model-card .model=${entry} .plan=${this.plan} dtype=${this.dtype} ?busy=${busy}
                           ?loaded=${model?.stats.dtype === this.dtype}></pl-model-card>`
      }
      ${state.kind === 'loading' ? html`<pl-load-progress .state=${state.progress}></pl-load-progress>` : nothing}
      <pl-semantic-search .model=${model}></pl-semantic-search>
      <pl-measurements .stats=${model?.stats ?? null} predicted=${state.kind === 'ready' ? state.predicted : 0}
                       runs=${this.runs}></pl-measurements>`;
  }
}

/** The words of index.html itself, outside any component. */
function translateDocument() {
  document.title = t('page.title');
  for (const element of document.querySelectorAll('[data-t]')) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.t ?? '');
  }
}

localeChanges.addEventListener('change', translateDocument);
await setLocale(chooseLocale());
customElements.define('pl-page', Page);
