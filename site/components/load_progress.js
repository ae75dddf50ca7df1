// A load under way: what has arrived, what is being done, and a way out.

import { megabytes, t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

export class LoadProgressPanel extends PageElement {
  /** @override */
  static properties = { state: { attribute: false } };

  constructor() {
    super();
    /** @type {import('../js/load_state.js').LoadState | null} */
    this.state = null;
  }

  cancel() {
    this.dispatchEvent(new CustomEvent('pl-cancel', { bubbles: true }));
  }

  /** Stop here, to go on from here: what has arrived stays on the disk. */
  pause() {
    this.dispatchEvent(new CustomEvent('pl-pause', { bubbles: true }));
  }

  /** @override */
  render() {
    if (this.state === null) return nothing;
    const { stages, loaded, total } = this.state;
    const current = stages.find((stage) => stage.status !== 'done') ?? stages.at(-1);
    return html`
      <section class="progress" aria-labelledby="progress-title">
        <h2 id="progress-title">${t('progress.title')}</h2>
        <p class="progress__sum">
          <progress max=${total} value=${loaded} aria-label=${t('progress.title')}></progress>
          <span>${t('progress.sum', { loaded: megabytes(loaded), total: megabytes(total) })}</span>
        </p>
        <ol class="progress__stages">
          ${stages.map(
            ({ name, status, loaded: bytes, total: of }) => html`
              <li class="progress__stage progress__stage--${status}">
                <span class="progress__mark" aria-hidden="true"></span>
                <span>${t(`stage.${name}`)}</span>
                <span class="progress__detail">${
                  of > 0
                    ? t('progress.sum', { loaded: megabytes(bytes), total: megabytes(of) })
                    : t(`status.${status}`)
                }</span>
              </li>`,
          )}
        </ol>
        <p class="visually-hidden" role="status">${current === undefined ? '' : t(`stage.${current.name}`)}</p>
        <button class="button button--quiet" type="button" @click=${this.pause}>${t('progress.pause')}</button>
        <button class="button button--quiet" type="button" @click=${this.cancel}>${t('progress.cancel')}</button>
      </section>`;
  }
}

customElements.define('pl-load-progress', LoadProgressPanel);
