// What the page is at: one tagged state, and what the visitor does to it.

import { asked, device, limits, showModel } from './address.js';
import { aborted, asPesoLeveError, PesoLeveError } from './errors.js';
import { labModels } from './lab.js';
import { LoadProgress } from './load_state.js';
import { keepRuntimes } from './offline.js';
import { keepPair } from './pairs.js';
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

export class PageState {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {State} */
    this.state = { kind: 'starting' };
    /** @type {Entry[]} */
    this.models = [];
    /** @type {Entry | null} */
    this.entry = null;
    /** @type {Plan | null} */
    this.plan = null;
    this.dtype = '';
    this.runs = 0;
    /** How often what is stored may have changed. */
    this.stored = 0;
    this.weighIn = new WeighIn({ device, limits }, onChange);
  }

  /** @param {Partial<Pick<PageState, 'state' | 'models' | 'entry' | 'plan' | 'dtype' | 'runs' | 'stored'>>} changes */
  change(changes) {
    Object.assign(this, changes);
    this.onChange();
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
      this.change({ entry: found ?? this.main[0] ?? null, state: { kind: 'choosing' } });
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
    this.weighIn.forget();
    this.change({ entry, plan: null, state: { kind: 'choosing' } });
    showModel(id);
    await this.choose(entry.default_dtype);
  }

  /** @param {string} dtype */
  async choose(dtype) {
    const { entry } = this;
    if (entry === null) return;
    this.change({ dtype });
    const deciding = () => this.deciding(entry, dtype);
    try {
      const found = await plan(entry.id, { device, dtype });
      if (entry !== this.entry || dtype !== this.dtype) return;
      this.change({ plan: found });
      if (this.running(dtype) !== null) return;
      await this.weighIn.weigh(entry.id, dtype, deciding);
      // A few layers tell more than a probe, where they disturb no model that runs.
      if (this.state.kind !== 'ready' && deciding())
        await this.weighIn.timeIfCheap(entry.id, dtype, deciding);
    } catch (error) {
      this.failIf(deciding(), error);
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
      this.failIf(this.deciding(entry, dtype), error);
    }
  }

  /** The model was run. */
  ran() {
    this.change({ runs: this.runs + 1 });
    this.checkPrediction();
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
        this.change({ state: { kind: 'loading', progress: progress.state(), abort } });
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
      const at = new Date().toISOString();
      this.change({ runs: 0, state: { kind: 'ready', model, predicted, verdict, at } });
      this.checkPrediction();
      keepRuntimes(model.stats.files);
    } catch (error) {
      if (abort.signal.reason === PAUSED) this.change({ state: { kind: 'paused' } });
      else this.fail(error);
    }
    this.refreshStored();
  }

  /** Look again at what is on this device. */
  refreshStored() {
    this.change({ stored: this.stored + 1 });
    if (this.state.kind !== 'loading') this.choose(this.dtype);
  }

  pause() {
    if (this.state.kind === 'loading') this.state.abort.abort(PAUSED);
  }

  cancel() {
    if (this.state.kind === 'loading') this.state.abort.abort(aborted());
  }

  /** What failed on the way to a decision is no news to who has decided. @param {boolean} deciding @param {unknown} error */
  failIf(deciding, error) {
    if (deciding) this.fail(error);
    else console.info('Peso Leve: not weighed:', error);
  }

  /** @param {unknown} error */
  fail(error) {
    if (this.state.kind === 'ready') this.state.model.dispose();
    this.change({ state: { kind: 'failed', error: asPesoLeveError(error) } });
  }
}
