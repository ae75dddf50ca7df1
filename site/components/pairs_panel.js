// The predictions that were checked on this device: how they came out, as a file for whoever wants it.

import { number, t } from '../js/i18n.js';
import { forgetPairs, pairs } from '../js/pairs.js';
import { saveFile } from '../js/save_file.js';
import { html, nothing, PageElement } from './element.js';

export class PairsPanel extends PageElement {
  /** @override */
  static properties = { revision: { type: Number } };

  constructor() {
    super();
    /** A change means that another prediction may have been checked. */
    this.revision = 0;
  }

  save() {
    const content = { agent: navigator.userAgent, pairs: pairs() };
    saveFile('peso-leve-pairs.json', JSON.stringify(content, null, 2), 'application/json');
  }

  forget() {
    forgetPairs();
    this.requestUpdate();
  }

  /** @override */
  render() {
    const kept = pairs();
    if (kept.length === 0) return nothing;
    return html`
      <section class="pairs" aria-labelledby="pairs-title">
        <h2 id="pairs-title">${t('pairs.title')}</h2>
        <p>${t(kept.length === 1 ? 'pairs.one' : 'pairs.many', { count: number(kept.length) })}</p>
        <p class="pairs__actions">
          <button class="button button--quiet" type="button" @click=${this.save}>${t('pairs.export')}</button>
          <button class="button button--quiet" type="button" @click=${this.forget}>${t('pairs.forget')}</button>
        </p>
      </section>`;
  }
}

customElements.define('pl-pairs-panel', PairsPanel);
