// The page: one tagged state, and what the visitor does to it.

import '../components/calculator_panel.js';
import '../components/chat_panel.js';
import '../components/failure_notice.js';
import '../components/lab_panel.js';
import '../components/language_switch.js';
import '../components/ledger_panel.js';
import '../components/load_progress.js';
import '../components/measurements.js';
import '../components/model_card.js';
import '../components/model_picker.js';
import '../components/offline_notice.js';
import '../components/pairs_panel.js';
import '../components/semantic_search.js';
import '../components/stored_models.js';
import '../components/weight_ladder.js';
import { html, nothing, PageElement } from '../components/element.js';
import { asked, device, limits, showModel } from './address.js';
import './document_words.js';
import { aborted, asPesoLeveError, PesoLeveError } from './errors.js';
import { chooseLocale, setLocale, t } from './i18n.js';
import { labModels } from './lab.js';
import { LoadProgress } from './load_state.js';
import { keepOffline, keepRuntimes } from './offline.js';
import { moveFocus } from './page_focus.js';
import { keepPair, measuredFigures } from './pairs.js';
import { catalog, load, plan } from './pesoleve.js';
import { WeighIn } from './weigh_in.js';

/**
 * @typedef {import('./catalog_types.js').Model} Entry
 * @typedef {import('../components/model_card.js').Plan} Plan
 * @typedef {(
 *   | {kind: 'starting'}
 *   | {kind: 'choosing'}
 *   | {kind: 'paused'}
 *   | {kind: 'loading', progress: import('./load_state.js').LoadState, abort: AbortController}
 *   | {kind: 'ready', model: import('./pesoleve.js').Model, predicted: number,
 *      verdict: import('./verdict.js').Verdict | null, at: string}
 *   | {kind: 'failed', error: import('./errors.js').PesoLeveError}
 * )} State
 */

/** Why a load was aborted that is to go on. */
const PAUSED = Symbol('paused');

class Page extends PageElement {
  /** @override */
  static properties = {
    state: { state: true },
    entry: { state: true },
    plan: { state: true },
    dtype: { state: true },
    runs: { state: true },
    stored: { state: true },
  };

  constructor() {
    super();
    /** @type {State} */
    this.state = { kind: 'starting' };
    /** @type {Entry[]} */
    this.models = [];
    /** @type {Entry | null} */
    this.entry = null;
    /** @type {Plan | null} */
    this.plan = null;
    this.weighIn = new WeighIn({ device, limits }, () => this.requestUpdate());
    this.dtype = '';
    this.runs = 0;
    /** How often what is stored may have changed. */
    this.stored = 0;
    this.addEventListener('pl-model', (event) =>
      this.chooseModel(/** @type {CustomEvent} */ (event).detail),
    );
    this.addEventListener('pl-dtype', (event) =>
      this.choose(/** @type {CustomEvent} */ (event).detail),
    );
    this.addEventListener('pl-load', () => this.load());
    this.addEventListener('pl-cancel', () => this.cancel());
    this.addEventListener('pl-pause', () => this.pause());
    this.addEventListener('pl-time', () => this.time());
    this.addEventListener('pl-stored', () => this.refreshStored());
    this.addEventListener('pl-ran', () => {
      this.runs += 1;
      this.checkPrediction();
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

  /** The models that have the page to themselves; the lab's are side by side in their panel. */
  get main() {
    const lab = new Set(labModels(this.models));
    return this.models.filter((model) => !lab.has(model));
  }

  async start() {
    try {
      this.models = await catalog();
      const id = asked.get('model');
      const found = this.main.find((model) => model.id === id);
      this.entry = found ?? this.main[0] ?? null;
      this.state = { kind: 'choosing' };
      if (this.entry !== null) await this.choose(this.entry.default_dtype);
      if (id !== null && found === undefined && this.entry !== null)
        throw new PesoLeveError('model_unknown', `The address asks for the model '${id}'.`);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Turn to another model; one that runs is let go. @param {string} id */
  async chooseModel(id) {
    const entry = this.main.find((model) => model.id === id);
    if (entry === undefined || entry === this.entry || this.state.kind === 'loading') return;
    if (this.state.kind === 'ready') await this.state.model.dispose();
    this.entry = entry;
    this.plan = null;
    this.weighIn.forget();
    this.state = { kind: 'choosing' };
    showModel(id);
    await this.choose(entry.default_dtype);
  }

  /** @param {string} dtype */
  async choose(dtype) {
    const { entry } = this;
    if (entry === null) return;
    this.dtype = dtype;
    try {
      const found = await plan(entry.id, { device, dtype });
      if (entry !== this.entry || dtype !== this.dtype) return;
      this.plan = found;
      if (this.running(dtype) !== null) return;
      const deciding = () => this.deciding(entry, dtype);
      await this.weighIn.weigh(entry.id, dtype, deciding);
      // A few layers tell more than a probe, where they disturb no model that runs.
      if (this.state.kind !== 'ready' && deciding())
        await this.weighIn.timeIfCheap(entry.id, dtype, deciding);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether `entry` in `dtype` is still what the visitor decides on. @param {Entry | null} entry @param {string} dtype */
  deciding(entry, dtype) {
    const decided = this.state.kind === 'loading' || this.running(dtype) !== null;
    return entry === this.entry && dtype === this.dtype && !decided;
  }

  /** The state of a model that runs in this dtype. @param {string} dtype */
  running(dtype) {
    const { state } = this;
    return state.kind === 'ready' && state.model.stats.dtype === dtype ? state : null;
  }

  /** Run the model cut to a few of its layers. */
  async time() {
    const { entry, dtype } = this;
    if (entry === null) return;
    try {
      const wanted = () => entry === this.entry && dtype === this.dtype;
      await this.weighIn.time(entry.id, dtype, wanted);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Put what was measured beside what was predicted. */
  checkPrediction() {
    if (this.state.kind !== 'ready' || this.state.verdict === null) return;
    keepPair(this.state.verdict, this.state.model.stats, this.state.at);
  }

  async load() {
    if (this.entry === null) return this.start();
    if (this.plan === null) await this.choose(this.dtype || this.entry.default_dtype);
    if (this.plan === null || this.state.kind === 'loading') return;
    const abort = new AbortController();
    const progress = new LoadProgress(this.plan);
    let loading = true; // a later restart of the model tells its progress here too
    const show = () => {
      if (loading && !abort.signal.aborted)
        this.state = { kind: 'loading', progress: progress.state(), abort };
    };
    if (this.state.kind === 'ready') await this.state.model.dispose();
    show();
    try {
      // Asked for, not waited for: a browser that asks the visitor keeps the files either way.
      navigator.storage?.persist?.().then(() => this.refreshStored());
      const predicted = this.plan.total - this.plan.stored;
      const verdict = this.weighIn.of(this.dtype);
      const model = await load(this.entry.id, {
        device,
        dtype: this.dtype,
        signal: abort.signal,
        onProgress: (step) => {
          progress.add(step);
          show();
        },
      });
      loading = false;
      this.weighIn.runtimeIsHere = true;
      this.runs = 0;
      this.state = { kind: 'ready', model, predicted, verdict, at: new Date().toISOString() };
      this.checkPrediction();
      keepRuntimes(model.stats.files);
    } catch (error) {
      if (abort.signal.reason === PAUSED) this.state = { kind: 'paused' };
      else this.fail(error);
    }
    this.refreshStored();
  }

  /** Look again at what is on this device. */
  refreshStored() {
    this.stored += 1;
    if (this.state.kind !== 'loading') this.choose(this.dtype);
  }

  pause() {
    if (this.state.kind === 'loading') this.state.abort.abort(PAUSED);
  }

  cancel() {
    if (this.state.kind === 'loading') this.state.abort.abort(aborted());
  }

  /** @param {unknown} error */
  fail(error) {
    if (this.state.kind === 'ready') this.state.model.dispose();
    this.state = { kind: 'failed', error: asPesoLeveError(error) };
  }

  /** @override @param {Map<string, unknown>} changed */
  updated(changed) {
    if (!changed.has('state')) return;
    const before = /** @type {State | undefined} */ (changed.get('state'));
    if (this.state.kind !== before?.kind) moveFocus(this, this.state.kind);
  }

  /** @override */
  render() {
    const { state, entry } = this;
    if (state.kind === 'starting') return html`<p role="status">${t('page.starting')}</p>`;
    const busy = state.kind === 'loading';
    const model = state.kind === 'ready' ? state.model : null;
    const running = this.running(this.dtype);
    const weighed = busy ? this.weighIn.of(this.dtype) : this.weighIn.verdict;
    return html`
      ${
        state.kind === 'failed'
          ? html`<pl-failure-notice .error=${state.error} ?canRetry=${state.error.code !== 'model_unknown'}></pl-failure-notice>`
          : nothing
      }
      ${
        entry === null
          ? html`<p>${state.kind === 'failed' ? nothing : t('page.empty')}</p>`
          : html`
            <pl-model-picker .models=${this.main} current=${entry.id} ?busy=${busy}></pl-model-picker>
            <pl-weight-ladder current=${entry.weight_class} parameters=${entry.parameters.total}></pl-weight-ladder>
            <pl-model-card .model=${entry} .plan=${this.plan} .verdict=${running === null ? weighed : running.verdict}
                           .measured=${model === null ? {} : measuredFigures(model.stats)}
                           dtype=${this.dtype} ?busy=${busy} ?timing=${this.weighIn.timing}
                           ?loaded=${running !== null}
                           ?paused=${state.kind === 'paused'}></pl-model-card>`
      }
      ${state.kind === 'loading' ? html`<pl-load-progress .state=${state.progress}></pl-load-progress>` : nothing}
      ${entry === null ? nothing : this.renderTrial(entry, model)}
      <pl-measurements .stats=${model?.stats ?? null} predicted=${state.kind === 'ready' ? state.predicted : 0}
                       runs=${this.runs}></pl-measurements>
      <pl-ledger-panel .stats=${model?.stats ?? null}></pl-ledger-panel>
      <pl-pairs-panel revision=${this.runs + (model === null ? 0 : 1)}></pl-pairs-panel>
      <pl-lab-panel .models=${this.models}></pl-lab-panel>
      <pl-calculator-panel python=${this.plan?.python ?? 0}></pl-calculator-panel>
      <pl-stored-models .models=${this.models} revision=${this.stored} ?busy=${busy}></pl-stored-models>`;
  }

  /** What the model's task is tried with. @param {Entry} entry @param {import('./pesoleve.js').Model | null} model */
  renderTrial(entry, model) {
    return entry.task === 'text_generation'
      ? html`<pl-chat-panel .model=${model}></pl-chat-panel>`
      : html`<pl-semantic-search .model=${model}></pl-semantic-search>`;
  }
}

await setLocale(chooseLocale());
customElements.define('pl-page', Page);
const page = /** @type {Page} */ (document.querySelector('pl-page'));
keepOffline(() => ['starting', 'choosing'].includes(page.state.kind));
