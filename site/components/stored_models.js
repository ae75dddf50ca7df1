// What models have left on this device, and a way to be rid of it.

import { locale, megabytes, t } from '../js/i18n.js';
import { removeStored, storedModels } from '../js/stored.js';
import { html, nothing, PageElement } from './element.js';

/** @typedef {import('../js/stored.js').StoredModel} StoredModel */

export class StoredModels extends PageElement {
  /** @override */
  static properties = {
    models: { attribute: false },
    busy: { type: Boolean },
    revision: { type: Number },
    rows: { state: true },
    persisted: { state: true },
  };

  constructor() {
    super();
    /** @type {import('../js/catalog_types.js').Model[]} */
    this.models = [];
    /** Whether a load is under way, whose files are not to be taken away. */
    this.busy = false;
    /** A change means that what is stored may have changed. */
    this.revision = 0;
    /** @type {StoredModel[]} */
    this.rows = [];
    this.persisted = false;
  }

  /** @override @param {Map<string, unknown>} changed */
  updated(changed) {
    if (changed.has('models') || changed.has('revision')) this.refresh();
  }

  async refresh() {
    try {
      this.rows = await storedModels(this.models);
      this.persisted = (await navigator.storage?.persisted?.()) ?? false;
    } catch (error) {
      this.dispatchEvent(new CustomEvent('pl-failure', { detail: error, bubbles: true }));
    }
  }

  /** @param {StoredModel} row */
  async deleteFiles(row) {
    try {
      await removeStored(row.files);
    } catch (error) {
      this.dispatchEvent(new CustomEvent('pl-failure', { detail: error, bubbles: true }));
    }
    await this.refresh();
    this.dispatchEvent(new CustomEvent('pl-stored', { bubbles: true }));
  }

  /** @override */
  render() {
    if (this.rows.length === 0) return nothing;
    const total = this.rows.reduce((sum, { bytes }) => sum + bytes, 0);
    return html`
      <section class="stored" aria-labelledby="stored-title">
        <h2 id="stored-title">${t('stored.title')}</h2>
        <p>${t(this.persisted ? 'stored.persisted' : 'stored.evictable', { total: megabytes(total) })}</p>
        <ul class="stored__models">
          ${this.rows.map((row) => {
            const name = this.models.find(({ id }) => id === row.id)?.title[locale()];
            const title = name ?? t('stored.old');
            return html`
              <li class="stored__model">
                <span>${title}</span>
                <span class="stored__bytes">${megabytes(row.bytes, 2)}</span>
                <button class="button button--quiet" type="button" ?disabled=${this.busy}
                        aria-label=${t('stored.delete.label', { title })}
                        @click=${() => this.deleteFiles(row)}>${t('stored.delete')}</button>
              </li>`;
          })}
        </ul>
      </section>`;
  }
}

customElements.define('pl-stored-models', StoredModels);
