// Whether the page is kept for when there is no network, in one line.

import { t } from '../js/i18n.js';
import { offlineChanges, offlineState } from '../js/offline.js';
import { html, PageElement } from './element.js';

export class OfflineNotice extends PageElement {
  /** @override */
  connectedCallback() {
    super.connectedCallback();
    offlineChanges.addEventListener('change', this.updateWords);
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    offlineChanges.removeEventListener('change', this.updateWords);
  }

  /** @override */
  render() {
    const state = offlineState();
    const words = {
      unknown: '',
      kept: t('offline.kept'),
      update: t('offline.update'),
      refused: t('offline.refused'),
    };
    // There from the beginning: a screen reader tells what changes in it.
    return html`<p class="offline offline--${state}" role="status">${words[state]}</p>`;
  }
}

customElements.define('pl-offline-notice', OfflineNotice);
