// What went wrong, what was kept, and what to do: by the error's code, in the visitor's language.

import { t } from '../js/i18n.js';
import { html, nothing, PageElement } from './element.js';

export class FailureNotice extends PageElement {
  /** @override */
  static properties = { error: { attribute: false }, canRetry: { type: Boolean } };

  constructor() {
    super();
    /** @type {import('../js/errors.js').PesoLeveError | null} */
    this.error = null;
    this.canRetry = false;
  }

  retry() {
    this.dispatchEvent(new CustomEvent('pl-load', { bubbles: true }));
  }

  /** @override */
  render() {
    const { error } = this;
    if (error === null) return nothing;
    return html`
      <section class="notice notice--failure" role="alert">
        <h2>${t('failure.title')}</h2>
        <p>${isDeployments(error) ? t('error.download_failed.deployment') : t(`error.${error.code}`)}</p>
        <details>
          <summary>${t('failure.details')}</summary>
          <p><code>${error.code}</code> ${error.message}</p>
          ${error.traceback ? html`<pre>${error.traceback}</pre>` : nothing}
        </details>
        ${
          this.canRetry
            ? html`<button class="button" type="button" @click=${this.retry}>${t('failure.retry')}</button>`
            : nothing
        }
      </section>`;
  }
}

/** Whether it is the site's fault, which no connection will mend. @param {import('../js/errors.js').PesoLeveError} error */
function isDeployments({ code, retryable }) {
  return code === 'download_failed' && !retryable;
}

customElements.define('pl-failure-notice', FailureNotice);
