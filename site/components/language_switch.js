import { LOCALES, locale, setLocale, t } from '../js/i18n.js';
import { html, PageElement } from './element.js';

const NAMES = { en: 'English', 'pt-BR': 'Português' };

export class LanguageSwitch extends PageElement {
  /** @override */
  render() {
    return html`
      <div class="languages" role="group" aria-label=${t('language.label')}>
        ${LOCALES.map(
          (name) => html`
            <button type="button" lang=${name} aria-pressed=${String(name === locale())}
                    @click=${() => setLocale(name, { remember: true })}>${NAMES[name]}</button>`,
        )}
      </div>`;
  }
}

customElements.define('pl-language-switch', LanguageSwitch);
