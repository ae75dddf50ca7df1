// The visitor's own sentence, told by any set of the lab's models side by side. Each is weighed when it can be seen,
// downloaded when it is first asked, and let go when it is no longer chosen.

import { limits } from '../js/address.js';
import { asPesoLeveError } from '../js/errors.js';
import { megabytes, t } from '../js/i18n.js';
import { pointKey } from '../js/lab.js';
import { keepPair } from '../js/pairs.js';
import { load, weigh } from '../js/pesoleve.js';
import { html, nothing, PageElement } from './element.js';
import './lab_chart.js';
import { renderContender, waiting } from './lab_contender.js';

/**
 * @typedef {import('../js/lab.js').Point} Point
 * @typedef {import('../js/pesoleve.js').Model} Model
 * @typedef {import('./lab_contender.js').Run} Run
 * @typedef {import('./lab_contender.js').Contender} Contender
 */

export class LabTrial extends PageElement {
  /** @override */
  static properties = {
    points: { attribute: false },
    others: { attribute: false },
    second: { state: true },
    runs: { state: true },
    running: { state: true },
    verdicts: { state: true },
    seen: { state: true },
  };

  constructor() {
    super();
    /** @type {Point[]} */
    this.points = [];
    /** @type {import('../js/lab.js').Model[]} models of another task that share a base */
    this.others = [];
    /** Whether the second task runs too. */
    this.second = false;
    /** @type {string | null} what the visitor wrote; null while it is still the example */
    this.text = null;
    /** @type {Map<string, Run>} */
    this.runs = new Map();
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {Map<string, {model: Model, at: string}>} */
    this.open = new Map();
    /** @type {Map<string, import('../js/verdict.js').Verdict | null>} before the download; null while weighed */
    this.verdicts = new Map();
    /** Whether it was in view: who does not come as far has nothing measured for it. */
    this.seen = false;
    this.watch = new IntersectionObserver((entries) => {
      this.seen ||= entries.some(({ isIntersecting }) => isIntersecting);
    });
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.watch.observe(this);
  }

  /** @override */
  updated() {
    if (!this.seen || this.running !== null) return;
    for (const one of this.contenders) if (!this.verdicts.has(pointKey(one))) this.weigh(one);
  }

  /** @param {Contender} one */
  async weigh({ id, dtype }) {
    const key = pointKey({ id, dtype });
    this.verdicts.set(key, null);
    try {
      const verdict = await weigh(id, { device: 'wasm', dtype, limits });
      this.verdicts = new Map(this.verdicts).set(key, verdict);
    } catch (error) {
      console.info('Peso Leve: not weighed:', error); // whatever it is, the load will say so
    }
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.watch.disconnect();
    this.running?.abort();
    for (const { model } of this.open.values()) model.dispose();
    this.open.clear();
  }

  /** @returns {Contender[]} */
  get contenders() {
    const chosen = this.points.map(({ id, dtype, model, bytes, shared }) => {
      return { id, dtype, title: model.title, bytes, shared };
    });
    const others = this.second ? this.others : [];
    return [
      ...chosen,
      ...others.map((model) => {
        /** @type {string[]} */
        const paths = model.devices.wasm?.files[model.default_dtype] ?? [];
        const files = model.files.filter(({ path }) => paths.includes(path));
        const own = files.filter(({ path }) => path.startsWith(`${model.id}/`));
        const [bytes, alone] = [files, own].map((some) => some.reduce((s, f) => s + f.bytes, 0));
        return {
          id: model.id,
          dtype: model.default_dtype,
          title: model.title,
          bytes: bytes ?? 0,
          shared: (bytes ?? 0) - (alone ?? 0),
        };
      }),
    ];
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.running !== null) return;
    const text = (this.text ?? t('lab.example')).trim();
    const abort = new AbortController();
    this.running = abort;
    const wanted = this.contenders;
    const keys = new Set(wanted.map(pointKey));
    for (const [key, { model }] of this.open) {
      if (keys.has(key)) continue;
      await model.dispose();
      this.open.delete(key);
    }
    this.runs = new Map(wanted.map((one) => [pointKey(one), waiting()]));
    for (const one of wanted) {
      if (abort.signal.aborted) break;
      await this.run(one, text, abort.signal);
    }
    this.running = null;
    this.dispatchEvent(new CustomEvent('pl-stored', { bubbles: true }));
  }

  /** @param {Contender} one @param {string} text @param {AbortSignal} signal */
  async run(one, text, signal) {
    const key = pointKey(one);
    try {
      const { model, at } = this.open.get(key) ?? (await this.download(one, signal));
      const begun = performance.now();
      const { classes } = await model.run([text], { signal });
      this.note(key, {
        state: 'done',
        answer: classes?.[0] ?? null,
        milliseconds: performance.now() - begun,
      });
      const verdict = this.verdicts.get(key);
      if (verdict) keepPair(verdict, model.stats, at);
    } catch (error) {
      this.open.delete(key);
      this.note(key, { state: 'failed', error: asPesoLeveError(error) });
    }
  }

  /** @param {Contender} one @param {AbortSignal} signal */
  async download({ id, dtype }, signal) {
    const key = pointKey({ id, dtype });
    this.note(key, { state: 'loading' });
    /** @type {Map<string, number>} */
    const arrived = new Map();
    const model = await load(id, {
      device: 'wasm',
      dtype,
      signal,
      onProgress: ({ phase, file, loaded }) => {
        if (!['graph', 'weights', 'tokenizer'].includes(phase)) return;
        arrived.set(file, loaded);
        this.note(key, { loaded: [...arrived.values()].reduce((sum, bytes) => sum + bytes, 0) });
      },
    });
    const opened = { model, at: new Date().toISOString() };
    this.open.set(key, opened);
    this.note(key, { bytes: model.stats.bytes.model, ready: model.stats.seconds.total ?? 0 });
    await model.run([t('lab.example')], { signal }); // the first run is not the one that is timed
    return opened;
  }

  /** @param {string} key @param {Partial<Run>} change */
  note(key, change) {
    const runs = new Map(this.runs);
    runs.set(key, { ...waiting(), ...runs.get(key), ...change });
    this.runs = runs;
  }

  /** @override */
  render() {
    const wanted = this.contenders;
    const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
    return html`
      <form class="trial" @submit=${this.submit}>
        <h3>${t('lab.trial')}</h3>
        <label class="trial__text">
          <span>${t('lab.trial.text')}</span>
          <input type="text" .value=${this.text ?? t('lab.example')} autocomplete="off" maxlength="2000"
                 @input=${(/** @type {InputEvent} */ event) => {
                   this.text = /** @type {HTMLInputElement} */ (event.target).value;
                 }}>
        </label>
        ${
          this.others.length === 0
            ? nothing
            : html`<label class="lab__try"><input type="checkbox" .checked=${this.second}
                @change=${() => {
                  this.second = !this.second;
                }}>${t('lab.trial.second')}</label>`
        }
        <p>
          <button class="button button--quiet" ?disabled=${this.running !== null || wanted.length === 0}>
            ${t('lab.trial.run', { megabytes: megabytes(total) })}</button>
          ${
            this.running === null
              ? nothing
              : html`<button class="button button--quiet" type="button" @click=${() => this.running?.abort()}>
                  ${t('progress.cancel')}</button>`
          }
        </p>
        <ul class="trial__answers" aria-live="polite">${wanted.map((one) => this.renderOne(one))}</ul>
      </form>`;
  }

  /** @param {Contender} one */
  renderOne(one) {
    const key = pointKey(one);
    return renderContender(one, this.runs.get(key) ?? null, this.verdicts.get(key) ?? null);
  }
}

customElements.define('pl-lab-trial', LabTrial);
