// What all components share: they render into the page itself, so that one style sheet and one
// accessibility tree serve all, and they speak the language in use.

import { localeChanges } from '../js/i18n.js';
import { LitElement } from '../vendor/lit/lit.js';

export { html, nothing, svg } from '../vendor/lit/lit.js';

export class PageElement extends LitElement {
  constructor() {
    super();
    this.updateWords = () => this.requestUpdate();
  }

  /** @override */
  createRenderRoot() {
    return this;
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    localeChanges.addEventListener('change', this.updateWords);
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    localeChanges.removeEventListener('change', this.updateWords);
  }
}
