// The catalog's models, a ticket each: what it does, how heavy it is, what it weighs on the wire. Its name
// is set as heavy as its class.

import { locale, megabytes, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

/** @typedef {import('../js/catalog_types.js').Model} Model */

export class ModelPicker extends PageElement {
  /** @override */
  static properties = { models: { attribute: false }, current: {}, busy: { type: Boolean } };

  constructor() {
    super();
    /** @type {Model[]} */
    this.models = [];
    /** The id of the one that is chosen. */
    this.current = '';
    this.busy = false;
  }

  /** @param {string} id */
  choose(id) {
    this.dispatchEvent(new CustomEvent('pl-model', { detail: id, bubbles: true }));
  }

  /** @override */
  render() {
    if (this.models.length < 2) return nothing;
    return html`
      <fieldset class="tickets" ?disabled=${this.busy}>
        <legend>${t('picker.legend')}</legend>
        <div class="tickets__row">${this.models.map((model) => this.renderTicket(model))}</div>
      </fieldset>`;
  }

  /** @param {Model} model */
  renderTicket(model) {
    return html`
      <label class="ticket ladder__class--${model.weight_class}">
        <input type="radio" name="model" value=${model.id} .checked=${model.id === this.current}
               @change=${() => this.choose(model.id)}>
        <span class="ticket__name ladder__name">${model.title[locale()]}</span>
        <span class="ticket__stub">
          <span class="ticket__class">${t(`class.${model.weight_class}`)}</span>
          <span class="ticket__bytes">${megabytes(wireBytes(model))}</span>
        </span>
      </label>`;
  }
}

/** @param {Model} model @returns {number} of its files in the default dtype */
function wireBytes({ devices, default_dtype, files }) {
  const device = devices.wasm ?? Object.values(devices)[0];
  /** @type {string[]} */
  const paths = device?.files[default_dtype] ?? [];
  return files
    .filter((file) => paths.includes(file.path))
    .reduce((sum, file) => sum + file.bytes, 0);
}

customElements.define('pl-model-picker', ModelPicker);
