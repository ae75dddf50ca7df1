// The words of index.html itself, outside any component.

import { localeChanges, t } from './i18n.js';

export function translateDocument() {
  document.title = t('page.title');
  for (const element of document.querySelectorAll('[data-t]')) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.t ?? '');
  }
}

localeChanges.addEventListener('change', translateDocument);
