// One turn of a conversation: who, the words as text, and what an answer took.

import { tokensPerSecond } from '../js/conversation.js';
import { number, seconds, t } from '../js/i18n.js';
import { html, nothing } from './element.js';

/** @typedef {import('../js/conversation.js').Turn} Turn */

/** Characters: a longer text is not laid out, in the log or in the field. A megabyte would freeze the page. */
export const SHOWN = 10_000;

/** @param {Turn} turn @param {boolean} busy whether it is being written */
export function renderTurn(turn, busy) {
  const hidden = turn.content.length - SHOWN;
  return html`
    <article class="turn turn--${turn.role}" aria-busy=${String(busy)}>
      <h3 class="turn__who">${t(turn.role === 'user' ? 'chat.you' : 'chat.model')}</h3>
      <div class="turn__words">
        <p class="turn__text" dir="auto">${turn.content.slice(0, SHOWN)}</p>
        ${hidden > 0 ? html`<p class="turn__cost">${t('chat.hidden', { count: number(hidden) })}</p>` : nothing}
        ${busy ? renderLive(turn) : renderCost(turn)}
      </div>
    </article>`;
}

/** @param {Turn} turn under way */
function renderLive({ live }) {
  if (live?.firstToken != null)
    return html`<p class="turn__cost" aria-live="off">${figures(live.rate, live.firstToken)}</p>`;
  const prefill = live?.prefill;
  if (!prefill?.total) return html`<p class="turn__cost">${t('chat.reading')}</p>`;
  const [loaded, total] = [number(prefill.loaded), number(prefill.total)];
  return html`
    <p class="turn__cost" aria-live="off">
      <progress max=${prefill.total} value=${prefill.loaded} aria-label=${t('chat.reading')}></progress>
      ${t('chat.prefill', { loaded, total })}
    </p>`;
}

/** @param {Turn} turn that has ended */
function renderCost({ live, generation, stopped }) {
  if (live === null) return nothing;
  const finish = stopped ? 'aborted' : (generation?.finish_reason ?? 'eos');
  const speed = generation === null ? live.rate : tokensPerSecond(generation);
  const wait = generation?.seconds.first_token ?? live.firstToken ?? 0;
  const count = number(generation?.generated_tokens ?? live.tokens);
  return html`
    ${finish === 'eos' ? nothing : html`<p class="turn__cost">${t(`finish.${finish}`)}</p>`}
    <p class="turn__cost">${figures(speed, wait)} · ${t('chat.tokens', { count })}</p>`;
}

/** @param {number | null} rate tokens a second @param {number} wait seconds */
function figures(rate, wait) {
  return html`<span class="corner corner--measured">${t('measured')}</span>
    ${rate === null ? nothing : `${t('chat.rate', { rate: number(rate, { maximumSignificantDigits: 3 }) })} · `}${t('chat.first_token', { seconds: seconds(wait) })}`;
}
