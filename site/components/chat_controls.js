// How the model picks its words: the sampling options, in words, with their names in the module.

import { t } from '../js/i18n.js';
import { html, PageElement } from './element.js';

/**
 * @typedef {object} Settings  As `generate` takes them; `seed` null is another one each time.
 * @property {number} max_new_tokens
 * @property {number} temperature
 * @property {number} top_k
 * @property {number} top_p
 * @property {number} min_p
 * @property {number} repetition_penalty
 * @property {number | null} seed
 * @property {string[]} stop
 * @property {boolean} speculative_decoding
 *
 * @typedef {'max_new_tokens' | 'temperature' | 'top_k' | 'top_p' | 'min_p' | 'repetition_penalty' | 'seed'} Figure
 */

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({
  max_new_tokens: 512,
  temperature: 0,
  top_k: 40,
  top_p: 0.95,
  min_p: 0.05,
  repetition_penalty: 1,
  seed: null,
  stop: [],
  speculative_decoding: true,
});

/** @type {{name: Figure, min: number, max: number, step: number, drawn: boolean}[]} `drawn`: only where chance is */
const FIGURES = [
  { name: 'temperature', min: 0, max: 2, step: 0.1, drawn: false },
  { name: 'top_k', min: 0, max: 1000, step: 1, drawn: true },
  { name: 'top_p', min: 0.01, max: 1, step: 0.01, drawn: true },
  { name: 'min_p', min: 0, max: 1, step: 0.01, drawn: true },
  { name: 'seed', min: 0, max: 2 ** 32 - 1, step: 1, drawn: true },
  { name: 'repetition_penalty', min: 1, max: 2, step: 0.05, drawn: false },
  { name: 'max_new_tokens', min: 1, max: Number.MAX_SAFE_INTEGER, step: 1, drawn: false },
];

export class ChatControls extends PageElement {
  /** @override */
  static properties = { settings: { attribute: false }, context: { type: Number } };

  constructor() {
    super();
    /** @type {Settings} */
    this.settings = { ...DEFAULTS };
    /** The most tokens that the model can hold. */
    this.context = 0;
  }

  /** @param {Partial<Settings>} change */
  change(change) {
    const detail = { ...this.settings, ...change };
    this.dispatchEvent(new CustomEvent('pl-settings', { detail, bubbles: true }));
  }

  /** @param {typeof FIGURES[number]} figure @param {Event} event */
  changeFigure({ name, min, max, step }, event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const most = name === 'max_new_tokens' ? this.context : max;
    const typed = step === 1 ? Math.round(input.valueAsNumber) : input.valueAsNumber;
    const value = Number.isNaN(typed) ? DEFAULTS[name] : Math.min(most, Math.max(min, typed));
    input.value = String(value ?? '');
    this.change({ [name]: value });
  }

  /** @override */
  render() {
    const { settings } = this;
    return html`
      <p class="controls__note">${t('chat.greedy')}</p>
      <div class="controls">
        ${FIGURES.map((figure) => this.renderFigure(figure))}
        <div class="controls__cell">
          ${words('stop')}
          <textarea id="setting-stop" aria-describedby="help-stop" rows="2" spellcheck="false" autocomplete="off"
                    .value=${settings.stop.join('\n')}
                    @change=${(/** @type {Event} */ event) => {
                      const { value } = /** @type {HTMLTextAreaElement} */ (event.target);
                      this.change({ stop: value.split('\n').filter(Boolean) });
                    }}></textarea>
        </div>
        <div class="controls__cell controls__cell--check">
          <input id="setting-speculative_decoding" aria-describedby="help-speculative_decoding" type="checkbox"
                 .checked=${settings.speculative_decoding}
                 @change=${(/** @type {Event} */ event) => {
                   const { checked } = /** @type {HTMLInputElement} */ (event.target);
                   this.change({ speculative_decoding: checked });
                 }}>
          ${words('speculative_decoding')}
        </div>
      </div>
      <button class="button button--quiet" type="button"
              @click=${() => this.change(DEFAULTS)}>${t('chat.defaults')}</button>`;
  }

  /** @param {typeof FIGURES[number]} figure */
  renderFigure(figure) {
    const { name, min, max, step, drawn } = figure;
    const idle = drawn && this.settings.temperature === 0;
    return html`
      <div class="controls__cell ${idle ? 'controls__cell--idle' : ''}">
        ${words(name)}
        <input id="setting-${name}" aria-describedby="help-${name}" type="number" min=${min} max=${name === 'max_new_tokens' ? this.context : max}
               step=${step} inputmode="decimal" autocomplete="off" ?disabled=${idle}
               .value=${String(this.settings[name] ?? '')}
               @change=${(/** @type {Event} */ event) => this.changeFigure(figure, event)}>
      </div>`;
  }
}

/** @param {keyof Settings} name */
function words(name) {
  return html`
    <div>
      <label class="controls__name" for="setting-${name}">${t(`setting.${name}`)} <code translate="no">${name}</code></label>
      <span class="controls__help" id="help-${name}">${t(`setting_help.${name}`)}</span>
    </div>`;
}

customElements.define('pl-chat-controls', ChatControls);
