// What the load really cost, beside what was said before it.

import { tokensPerSecond } from '../js/conversation.js';
import { megabytes, number, seconds, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

/** @typedef {import('../js/pesoleve.js').Stats} Stats */

const STAGES = ['download', 'runtime', 'python', 'decode', 'session', 'warm_up', 'total'];

export class Measurements extends PageElement {
  /** @override */
  static properties = {
    stats: { attribute: false },
    predicted: { type: Number },
    runs: { type: Number },
  };

  constructor() {
    super();
    /** @type {Stats | null} */
    this.stats = null;
    this.predicted = 0;
    /** How many runs there have been: a change shows the newest. */
    this.runs = 0;
  }

  /** @override */
  render() {
    const { stats } = this;
    if (stats === null) return nothing;
    return html`
      <section class="measured" aria-labelledby="measured-title">
        <h2 id="measured-title">${t('measured.title')}</h2>
        ${stats.rejected.map(
          ({ device, code }) => html`
            <p class="notice" role="status">${t('measured.rejected', {
              device: t(`device.${device}`),
              reason: t(`error.${code}`),
            })}</p>`,
        )}
        ${
          ['quota', 'disk_full', 'unsupported'].includes(stats.storage.reason ?? '')
            ? html`<p class="notice" role="status">${t(`measured.storage.${stats.storage.reason}`)}</p>`
            : nothing
        }
        <dl class="tape">
          ${this.pair('measured.bytes', megabytes(this.predicted, 2), megabytes(stats.bytes.total, 2))}
          ${this.single('measured.device', t(`device.${stats.device}`))}
          ${this.single('measured.threads', number(stats.threads))}
          ${this.single('measured.memory', megabytes(stats.memory.total))}
          ${this.single('measured.memory_loading', megabytes(stats.memory.loading))}
          ${this.single('measured.ready', seconds(stats.seconds.total ?? 0))}
          ${this.single('measured.canary', number(stats.canaryDifference, stats.canaryDifference === 0 ? {} : { notation: 'scientific', maximumFractionDigits: 1 }))}
          ${this.renderLastRun(stats)}
        </dl>
        <div class="measured__tables">${this.renderStages(stats)}</div>
        <p class="measured__note">${t('measured.note')}</p>
      </section>`;
  }

  /** @param {string} key @param {string} predicted @param {string} measured */
  pair(key, predicted, measured) {
    return html`
      <div><dt>${t(key)}</dt>
        <dd><span class="corner corner--measured">${t('measured')}</span> <b>${measured}</b></dd>
        <dd><span class="corner corner--predicted">${t('predicted')}</span> ${predicted}</dd></div>`;
  }

  /** @param {string} key @param {string} measured */
  single(key, measured) {
    return html`<div><dt>${t(key)}</dt>
      <dd><span class="corner corner--measured">${t('measured')}</span> <b>${measured}</b></dd></div>`;
  }

  /** @param {Stats} stats */
  renderLastRun(stats) {
    const generation = stats.generations.at(-1);
    if (generation !== undefined) return this.renderGeneration(generation);
    const run = stats.runs.at(-1);
    if (run === undefined) return nothing;
    const milliseconds = number((1000 * run.seconds) / run.inputs, { maximumFractionDigits: 0 });
    return this.single(
      'measured.run',
      t('measured.run.value', { milliseconds, inputs: number(run.inputs) }),
    );
  }

  /** @param {import('../js/pesoleve.js').Generation} generation */
  renderGeneration(generation) {
    const rate = tokensPerSecond(generation);
    const tokens = number(generation.prompt_tokens - generation.cached_tokens);
    const first = seconds(generation.seconds.first_token);
    return html`
      ${
        rate === null
          ? nothing
          : this.single(
              'measured.speed',
              t('chat.rate', { rate: number(rate, { maximumSignificantDigits: 3 }) }),
            )
      }
      ${this.single('measured.first_token', t('measured.first_token.value', { seconds: first, tokens }))}`;
  }

  /** @param {Stats} stats */
  renderStages(stats) {
    return html`
      <table>
        <caption>${t('measured.stages')}</caption>
        <thead><tr><th scope="col">${t('column.stage')}</th><th scope="col" class="right">${t('column.seconds')}</th></tr></thead>
        <tbody>
          ${STAGES.filter((stage) => stats.seconds[stage] !== undefined).map(
            (stage) => html`<tr><th scope="row">${t(`time.${stage}`)}</th>
              <td class="right">${seconds(stats.seconds[stage] ?? 0)}</td></tr>`,
          )}
        </tbody>
      </table>`;
  }
}

customElements.define('pl-measurements', Measurements);
