// The visitor's own sentences, ranked by meaning while they type.

import { asPesoLeveError } from '../js/errors.js';
import { locale, number, t } from '../js/i18n.js';
import { SentenceIndex } from '../js/similarity.js';
import { html, nothing, PageElement } from './element.js';

export class SemanticSearch extends PageElement {
  /** @override */
  static properties = {
    model: { attribute: false },
    ranked: { state: true },
    milliseconds: { state: true },
  };

  constructor() {
    super();
    /** @type {import('../js/similarity.js').Embedder | null} */
    this.model = null;
    /** @type {import('../js/similarity.js').Ranked[]} */
    this.ranked = [];
    this.milliseconds = 0;
    /** @type {string | null} what the visitor wrote; null while it is still the example */
    this.query = null;
    /** @type {string | null} */
    this.sentences = null;
    /** @type {SentenceIndex | null} */
    this.index = null;
    this.running = false;
    this.stale = false;
    this.spoken = '';
  }

  /** @override @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    if (!changed.has('model')) return;
    this.index = this.model === null ? null : new SentenceIndex(this.model);
    this.refresh();
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.updateWords = () => {
      this.requestUpdate();
      this.refresh();
    };
  }

  get queryText() {
    return this.query ?? t('search.example');
  }

  get sentenceText() {
    return this.sentences ?? t('search.sentences');
  }

  /** Rank what is there now; while a ranking runs, the latest wish waits and the others are dropped. */
  async refresh() {
    if (this.running) {
      this.stale = true;
      return;
    }
    this.running = true;
    try {
      do {
        this.stale = false;
        await this.rank();
      } while (this.stale);
    } catch (error) {
      const detail = asPesoLeveError(error);
      this.dispatchEvent(new CustomEvent('pl-failure', { detail, bubbles: true }));
    } finally {
      this.running = false;
    }
  }

  async rank() {
    const query = this.queryText.trim();
    const sentences = this.sentenceText.split('\n').map((line) => line.trim());
    const wanted = [...new Set(sentences)].filter(Boolean);
    if (this.index === null || query === '' || wanted.length === 0) {
      this.ranked = [];
      return;
    }
    const begun = performance.now();
    this.ranked = await this.index.rank(query, wanted);
    this.milliseconds = performance.now() - begun;
    this.dispatchEvent(new CustomEvent('pl-ran', { bubbles: true }));
  }

  /** @param {InputEvent} event */
  typeQuery(event) {
    this.query = /** @type {HTMLInputElement} */ (event.target).value;
    this.refresh();
  }

  /** @param {InputEvent} event */
  typeSentences(event) {
    this.sentences = /** @type {HTMLTextAreaElement} */ (event.target).value;
    this.refresh();
  }

  /** @override */
  render() {
    if (this.model === null) return nothing;
    return html`
      <section class="search" aria-labelledby="search-title">
        <h2 id="search-title">${t('search.title')}</h2>
        <p>${t('search.hint')}</p>
        <label class="search__query">
          <span>${t('search.query')}</span>
          <input type="search" .value=${this.queryText} @input=${this.typeQuery} autocomplete="off" spellcheck="false">
        </label>
        <div class="search__columns">
          <div>
            <h3>${t('search.ranking')}</h3>
            ${this.ranked.length === 0 ? html`<p class="search__empty">${t('search.empty')}</p>` : this.renderRanking()}
          </div>
          <label class="search__sentences">
            <span>${t('search.edit')}</span>
            <textarea rows="10" .value=${this.sentenceText} @input=${this.typeSentences} lang=${this.sentences === null ? 'en' : locale()}
                      spellcheck="false"></textarea>
          </label>
        </div>
      </section>`;
  }

  renderRanking() {
    const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    return html`
      <ol class="ranking">
        ${this.ranked.map(
          ({ text, similarity }) => html`
            <li class="ranking__row">
              <span class="ranking__text">${text}</span>
              <span class="ranking__number">${number(similarity, digits)}</span>
              <span class="ranking__bar" aria-hidden="true"
                    .style=${`--fraction: ${Math.max(0, similarity).toFixed(4)}`}></span>
            </li>`,
        )}
      </ol>
      <p class="search__time"><span class="corner corner--measured">${t('measured')}</span>
        ${t('search.time', { milliseconds: number(this.milliseconds, { maximumFractionDigits: 0 }) })}</p>`;
  }
}

customElements.define('pl-semantic-search', SemanticSearch);
