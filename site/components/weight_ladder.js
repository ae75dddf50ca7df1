// The eight weight classes, each as heavy as it is, with the model's own marked.

import { number, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

const CLASSES = ['straw', 'fly', 'feather', 'light', 'welter', 'middle', 'heavy', 'super-heavy'];

export class WeightLadder extends PageElement {
  /** @override */
  static properties = { current: {}, parameters: { type: Number } };

  constructor() {
    super();
    /** @type {string} */
    this.current = '';
    this.parameters = 0;
  }

  /** @override */
  render() {
    const millions = number(this.parameters / 1e6, { maximumFractionDigits: 1 });
    return html`
      <ol class="ladder" aria-label=${t('ladder.label')}>
        ${CLASSES.map(
          (name) => html`
            <li class="ladder__class ladder__class--${name}"
                aria-current=${name === this.current ? 'true' : nothing}>
              <span class="ladder__name">${t(`class.${name}`)}</span>
              <span class="ladder__limit">${t(`class.${name}.limit`)}</span>
              ${
                name === this.current
                  ? html`<span class="ladder__mark">${t('ladder.mark', { millions })}</span>`
                  : nothing
              }
            </li>`,
        )}
      </ol>`;
  }
}

customElements.define('pl-weight-ladder', WeightLadder);
