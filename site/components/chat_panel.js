// Talk to a text_generation model: answers as they come, what each took, and every control.

import './failure_notice.js';
import { Conversation, contextLimit } from '../js/conversation.js';
import { number, t } from '../js/i18n.js';
import { throttle } from '../js/throttle.js';
import { DEFAULTS } from './chat_controls.js';
import { renderTurn, SHOWN } from './chat_turn.js';
import { html, nothing, PageElement } from './element.js';

/** How near to its end, in pixels, the reader follows the log. */
const NEAR = 48;

/** How long a picture of an answer under way stays: on few CPUs the next one is drawn instead of a token. */
const PICTURE_MS = 100;

export class ChatPanel extends PageElement {
  /** @override */
  static properties = {
    model: { attribute: false },
    settings: { state: true },
    text: { state: true },
    attached: { state: true },
  };

  constructor() {
    super();
    /** @type {import('../js/pesoleve.js').Model | null} */
    this.model = null;
    /** @type {import('./chat_controls.js').Settings} */
    this.settings = { ...DEFAULTS };
    /** What is in the field. */
    this.text = '';
    /** What was pasted that is too long for the field; it is sent before what is typed. */
    this.attached = '';
    this.conversation = new Conversation(throttle(() => this.requestUpdate(), PICTURE_MS));
    this.follow = true;
    this.lostFocus = false;
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.conversation.stop();
  }

  /** @returns {HTMLTextAreaElement | null} */
  get field() {
    return this.querySelector('.chat__prompt');
  }

  get hasDraft() {
    return /\S/.test(this.attached) || /\S/.test(this.text);
  }

  get options() {
    const { seed, ...others } = this.settings;
    return { ...others, seed: seed ?? undefined };
  }

  /** @param {Promise<void>} answer */
  async showAnswer(answer) {
    this.follow = true;
    await answer;
    this.dispatchEvent(new CustomEvent('pl-ran', { bubbles: true }));
  }

  /** @param {string} text */
  send(text) {
    if (this.model === null || this.conversation.busy) return;
    this.showAnswer(this.conversation.send(this.model, text, this.options));
  }

  sendDraft() {
    if (this.conversation.busy || !this.hasDraft) return;
    this.send(joined(this.attached, this.text));
    this.attached = '';
    this.draft('');
  }

  again() {
    if (this.model === null || this.conversation.busy) return;
    this.showAnswer(this.conversation.again(this.model, this.options));
  }

  trimAndSend() {
    this.conversation.trim = true;
    this.again();
  }

  clear() {
    this.conversation.clear();
  }

  takeBack() {
    this.draft(joined(this.conversation.takeBack(), this.text));
  }

  detach() {
    this.attached = '';
  }

  /** @param {string} text what the field is to hold, or holds already */
  draft(text) {
    const long = text.length > SHOWN;
    if (long) this.attached = joined(this.attached, text);
    this.text = long ? '' : text;
    if (long && this.field !== null) this.field.value = '';
  }

  /** A long paste never reaches the field. @param {InputEvent} event */
  insert(event) {
    if ((event.data?.length ?? 0) <= SHOWN) return;
    event.preventDefault();
    this.attached = joined(this.attached, event.data ?? '');
  }

  /** @param {KeyboardEvent} event */
  pressKey(event) {
    // 229: the Enter that ends a composition, in browsers that have already ended it.
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key !== 'Enter' || event.shiftKey || composing) return;
    event.preventDefault();
    this.sendDraft();
  }

  /** @param {Event} event */
  followLog({ target }) {
    const log = /** @type {HTMLElement} */ (target);
    this.follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  }

  /** @override */
  willUpdate() {
    const focused = document.activeElement;
    this.lostFocus = focused instanceof HTMLButtonElement && this.contains(focused);
  }

  /** @override */
  updated() {
    const log = this.querySelector('.chat__log');
    if (log !== null && this.follow) log.scrollTop = log.scrollHeight;
    // The button that had the focus is gone or disabled: the keyboard goes on where the eye does.
    const focused = document.activeElement;
    if (!this.lostFocus || (focused !== document.body && !focused?.matches(':disabled'))) return;
    /** @type {HTMLElement | null} */
    const stop = this.querySelector('.chat__stop');
    (stop ?? this.field)?.focus();
  }

  /** @override */
  render() {
    const { conversation, model } = this;
    if (model === null) return nothing;
    const { state, turns, busy } = conversation;
    const answering = state.kind === 'answering';
    return html`
      <section class="chat" aria-labelledby="chat-title">
        <h2 id="chat-title">${t('chat.title')}</h2>
        <p>${t('chat.hint')}</p>
        <div class="chat__ring">
          <div class="chat__log" role="log" aria-live="polite" aria-label=${t('chat.log')}
               tabindex=${turns.length > 0 ? '0' : nothing} @scroll=${this.followLog}>
            ${turns.map((turn) => renderTurn(turn, answering && turn === turns.at(-1)))}
          </div>
          ${turns.length === 0 ? this.renderExamples() : nothing}
          ${state.kind === 'failed' ? this.renderFailure(state.error) : nothing}
          ${state.kind === 'restarting' ? html`<p class="chat__failure">${t('chat.restarting')}</p>` : nothing}
          <div class="chat__bar">
            ${this.renderContext(model)}
            ${turns.length > 0 ? this.renderTools(busy, state.kind === 'failed') : nothing}
          </div>
          <div class="chat__composer">
            ${this.attached === '' ? nothing : this.renderAttached()}
            <textarea class="chat__prompt" rows="2" aria-label=${t('chat.prompt')} placeholder=${t('chat.prompt')}
                      enterkeyhint="send" autocomplete="off" spellcheck="false" dir="auto"
                      .value=${this.text} @beforeinput=${this.insert} @input=${() => this.draft(this.field?.value ?? '')} @keydown=${this.pressKey}></textarea>
            ${
              answering
                ? html`<button class="button button--quiet chat__stop" type="button"
                               @click=${() => conversation.stop()}>${t('chat.stop')}</button>`
                : nothing
            }
            <button class="button" type="button" ?disabled=${busy || !this.hasDraft}
                    @click=${this.sendDraft}>${t('chat.send')}</button>
          </div>
        </div>
        <p class="visually-hidden" role="status">${this.spoken()}</p>
        <details class="chat__fold">
          <summary>${t('chat.system')}</summary>
          <textarea rows="3" aria-label=${t('chat.system')} placeholder=${t('chat.system.hint')} dir="auto" spellcheck="false"
                    .value=${conversation.system}
                    @input=${(/** @type {Event} */ event) => {
                      conversation.system = /** @type {HTMLTextAreaElement} */ (event.target).value;
                    }}></textarea>
        </details>
        <details class="chat__fold">
          <summary>${t('chat.settings')}</summary>
          <pl-chat-controls .settings=${this.settings} context=${contextLimit(model.entry)}
                            @pl-settings=${(/** @type {CustomEvent} */ event) => {
                              this.settings = event.detail;
                            }}></pl-chat-controls>
        </details>
      </section>`;
  }

  /** What a screen reader hears: not every token, but that there is something to read. */
  spoken() {
    const { state, turns } = this.conversation;
    if (state.kind === 'answering') return t('chat.reading');
    if (state.kind === 'restarting') return t('chat.restarting');
    return turns.at(-1)?.role === 'assistant' ? t('chat.answered') : '';
  }

  renderAttached() {
    return html`
      <p class="chat__attached" role="status">
        ${t('chat.attached', { count: number(this.attached.length) })}
        <button class="chip" type="button" @click=${this.detach}>${t('chat.detach')}</button>
      </p>`;
  }

  renderExamples() {
    const examples = [t('chat.example.1'), t('chat.example.2'), t('chat.example.3')];
    return html`
      <div class="chat__empty">
        <p>${t('chat.empty')}</p>
        ${examples.map((text) => html`<button class="chip" type="button" @click=${() => this.send(text)}>${text}</button>`)}
      </div>`;
  }

  /** @param {boolean} busy @param {boolean} failed the failure has its own way to try again */
  renderTools(busy, failed) {
    return html`
      <span class="chat__tools">
        <button class="button button--quiet" type="button" ?disabled=${busy || failed} @click=${this.again}>${t('chat.again')}</button>
        <button class="button button--quiet" type="button" ?disabled=${busy} @click=${this.clear}>${t('chat.clear')}</button>
      </span>`;
  }

  /** @param {import('../js/errors.js').PesoLeveError} error */
  renderFailure(error) {
    const { conversation } = this;
    const long = error.code === 'prompt_too_long';
    const again = conversation.broken ? t('chat.restart') : t('chat.retry');
    const way = long ? t('chat.trim') : again;
    return html`
      <div class="chat__failure">
        <pl-failure-notice .error=${error}></pl-failure-notice>
        ${long ? html`<p lang="en">${error.message}</p>` : nothing}
        ${
          long && conversation.trim
            ? nothing
            : html`<button class="button" type="button" @click=${long ? this.trimAndSend : this.again}>${way}</button>`
        }
        <button class="button button--quiet" type="button" @click=${this.takeBack}>${t('chat.take_back')}</button>
      </div>`;
  }

  /** @param {import('../js/pesoleve.js').Model} model */
  renderContext({ entry }) {
    const { context, trim } = this.conversation;
    const { used, limit } = context ?? { used: 0, limit: contextLimit(entry) };
    return html`
      <p class="chat__context">
        <span class="chat__gauge" aria-hidden="true" .style=${`--fraction: ${(used / limit).toFixed(4)}`}></span>
        ${t('chat.context', { used: number(used), limit: number(limit) })}
        ${trim ? t('chat.trimming') : nothing}
      </p>`;
  }
}

const joined = (/** @type {string[]} */ ...texts) => texts.filter(Boolean).join('\n\n');

customElements.define('pl-chat-panel', ChatPanel);
