// The page: what it shows, by what it is at.

import '../components/calculator_panel.js';
import '../components/chat_panel.js';
import '../components/failure_notice.js';
import '../components/lab_panel.js';
import '../components/language_switch.js';
import '../components/ledger_panel.js';
import '../components/load_progress.js';
import '../components/measurements.js';
import '../components/model_card.js';
import '../components/model_picker.js';
import '../components/offline_notice.js';
import '../components/pairs_panel.js';
import '../components/semantic_search.js';
import '../components/stored_models.js';
import '../components/weight_ladder.js';
import { html, nothing, PageElement } from '../components/element.js';
import './document_words.js';
import { chooseLocale, setLocale, t } from './i18n.js';
import { keepOffline } from './offline.js';
import { moveFocus } from './page_focus.js';
import { PageState } from './page_state.js';
import { measuredFigures } from './pairs.js';

class Page extends PageElement {
  constructor() {
    super();
    const current = new PageState(() => this.requestUpdate());
    this.current = current;
    this.shown = '';
    this.started = Promise.resolve();
    /** @type {Record<string, (event: CustomEvent) => void>} what the visitor asks for, somewhere in the page */
    const asked = {
      'pl-model': ({ detail }) => current.chooseModel(detail),
      'pl-dtype': ({ detail }) => current.choose(detail),
      'pl-load': () => current.load(),
      'pl-cancel': () => current.cancel(),
      'pl-pause': () => current.pause(),
      'pl-time': () => current.time(),
      'pl-stored': () => current.refreshStored(),
      'pl-ran': () => current.ran(),
      'pl-failure': ({ detail }) => current.fail(detail),
    };
    for (const [type, answer] of Object.entries(asked))
      this.addEventListener(type, /** @type {EventListener} */ (answer));
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    this.started = this.current.start();
  }

  /** @override */
  updated() {
    const { kind } = this.current.state;
    if (kind !== this.shown) moveFocus(this, kind);
    this.shown = kind;
  }

  /** @override */
  render() {
    const { current } = this;
    const { state, entry, models, plan, dtype, runs, weighIn } = current;
    if (state.kind === 'starting') return html`<p role="status">${t('page.starting')}</p>`;
    const busy = state.kind === 'loading';
    const model = state.kind === 'ready' ? state.model : null;
    const running = current.running(dtype);
    const weighed = busy ? weighIn.of(dtype) : weighIn.verdict;
    return html`
      ${
        state.kind === 'failed'
          ? html`<pl-failure-notice .error=${state.error} ?canRetry=${state.error.code !== 'model_unknown'}></pl-failure-notice>`
          : nothing
      }
      ${
        entry === null
          ? html`<p>${state.kind === 'failed' ? nothing : t('page.empty')}</p>`
          : html`
            <pl-model-picker .models=${current.main} current=${entry.id} ?busy=${busy}></pl-model-picker>
            <pl-weight-ladder current=${entry.weight_class} parameters=${entry.parameters.total}></pl-weight-ladder>
            <pl-model-card .model=${entry} .plan=${plan} .verdict=${running === null ? weighed : running.verdict}
                           .measured=${model === null ? {} : measuredFigures(model.stats)}
                           dtype=${dtype} ?busy=${busy} ?timing=${weighIn.timing}
                           ?loaded=${running !== null}
                           ?paused=${state.kind === 'paused'}></pl-model-card>`
      }
      ${state.kind === 'loading' ? html`<pl-load-progress .state=${state.progress}></pl-load-progress>` : nothing}
      ${entry === null ? nothing : this.renderTrial(entry, model)}
      <pl-measurements .stats=${model?.stats ?? null} predicted=${state.kind === 'ready' ? state.predicted : 0}
                       runs=${runs}></pl-measurements>
      <pl-ledger-panel .stats=${model?.stats ?? null}></pl-ledger-panel>
      <pl-pairs-panel revision=${current.stored + runs + (model === null ? 0 : 1)}></pl-pairs-panel>
      <pl-lab-panel .models=${models}></pl-lab-panel>
      <pl-calculator-panel python=${plan?.python ?? 0}></pl-calculator-panel>
      <pl-stored-models .models=${models} revision=${current.stored} ?busy=${busy}></pl-stored-models>`;
  }

  /** What the model's task is tried with. @param {import('./catalog_types.js').Model} entry @param {import('./pesoleve.js').Model | null} model */
  renderTrial(entry, model) {
    return entry.task === 'text_generation'
      ? html`<pl-chat-panel .model=${model}></pl-chat-panel>`
      : html`<pl-semantic-search .model=${model}></pl-semantic-search>`;
  }
}

await setLocale(chooseLocale());
customElements.define('pl-page', Page);
const page = /** @type {Page} */ (document.querySelector('pl-page'));
keepOffline(() => ['starting', 'choosing'].includes(page.current.state.kind), page.started);
