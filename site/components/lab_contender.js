// One model of the lab's trial: what is predicted of it, how far it is, and what it says of the visitor's sentence.

import { locale, megabytes, number, seconds, t } from '../js/i18n.js';
import { html, nothing } from './element.js';
import { percent } from './lab_chart.js';

/**
 * @typedef {import('../js/verdict.js').Verdict} Verdict
 * @typedef {import('../js/errors.js').PesoLeveError} PesoLeveError
 * @typedef {import('../js/classes.js').Classified} Classified
 * @typedef {{state: 'waiting' | 'loading' | 'done' | 'failed', loaded: number, answer: Classified | null,
 *   milliseconds: number, bytes: number, ready: number, error: PesoLeveError | null}} Run
 * @typedef {{id: string, dtype: string, title: import('../js/catalog_types.js').Model['title'], bytes: number, shared: number}} Contender
 */

/** @param {Contender} one @param {Run | null} run @param {Verdict | null} verdict before the download */
export function renderContender(one, run, verdict) {
  return html`
    <li class="trial__answer">
      <strong>${one.title[locale()]} <small>${one.dtype}</small></strong>
      ${run === null ? html`<span>${megabytes(one.bytes, 2)}</span>` : renderState(run, one)}
      ${renderVerdict(verdict)}
    </li>`;
}

/** @param {Verdict | null} verdict */
function renderVerdict(verdict) {
  if (verdict === null) return nothing;
  const { load: ready, first_token: answer } = verdict.seconds;
  return html`<small><span class="corner corner--predicted">${t('predicted')}</span>
    ${t(`verdict.${verdict.verdict}`)} ${t('lab.trial.predicted', {
      ready: ready === null ? t('figure.unknown') : seconds(ready.value),
      milliseconds: answer === null ? '?' : milliseconds(1000 * answer.value),
    })}</small>`;
}

/** @param {Run} run @param {Contender} one */
function renderState(run, { bytes }) {
  if (run.state === 'failed' && run.error !== null) {
    return html`<span class="trial__failed" role="alert">${t(`error.${run.error.code}`)}</span>`;
  }
  if (run.answer === null) {
    if (run.state === 'waiting') return html`<span>${t('lab.trial.waiting')}</span>`;
    return html`<progress max=${bytes} value=${run.loaded}></progress>
      <span>${megabytes(run.loaded, 2)}</span>`;
  }
  return html`
    <span class="trial__label">${t(`label.${run.answer.label}`)} ${percent(run.answer.score, 0)}</span>
    <meter min="0" max="1" value=${run.answer.score}></meter>
    <small><span class="corner corner--measured">${t('measured')}</span>
      ${t('lab.trial.measured', {
        ready: seconds(run.ready),
        milliseconds: milliseconds(run.milliseconds),
        megabytes: megabytes(run.bytes, 2),
      })}</small>`;
}

/** @param {number} value */
function milliseconds(value) {
  return number(value, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

/** @returns {Run} */
export function waiting() {
  return {
    state: 'waiting',
    loaded: 0,
    answer: null,
    milliseconds: 0,
    bytes: 0,
    ready: 0,
    error: null,
  };
}
