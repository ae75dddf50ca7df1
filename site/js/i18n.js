// Words and numbers in the visitor's language. Every sentence of the page is in site/locales/.

import { ifKept } from './kept.js';

export const LOCALES = /** @type {const} */ (['en', 'pt-BR']);

/** @typedef {typeof LOCALES[number]} Locale */
/** @typedef {Record<string, string>} Messages */

const STORED = 'pesoleve-locale';

/** Fires `change` when another locale is in use. */
export const localeChanges = new EventTarget();

/** @type {{locale: Locale, messages: Messages}} */
let current = { locale: 'en', messages: {} };

/** @returns {Locale} */
export function locale() {
  return current.locale;
}

/**
 * The visitor's earlier choice, else the first of the browser's languages that the page speaks.
 *
 * @param {readonly string[]} [preferred]
 * @returns {Locale}
 */
export function chooseLocale(preferred = navigator.languages) {
  const stored = ifKept(() => localStorage.getItem(STORED));
  const wishes = stored === null ? preferred : [stored, ...preferred];
  for (const wish of wishes) {
    const language = wish.toLowerCase().split('-')[0];
    const found = LOCALES.find((name) => name.toLowerCase().split('-')[0] === language);
    if (found !== undefined) return found;
  }
  return 'en';
}

/** @param {Locale} name @param {{remember?: boolean}} [options] */
export async function setLocale(name, { remember = false } = {}) {
  if (remember) ifKept(() => localStorage.setItem(STORED, name));
  const response = await fetch(new URL(`../locales/${name}.json`, import.meta.url));
  if (!response.ok) throw new Error(`locale ${name} answered ${response.status}`);
  current = { locale: name, messages: await response.json() };
  document.documentElement.lang = name;
  localeChanges.dispatchEvent(new Event('change'));
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] put in for `{name}`
 * @returns {string} the message; the key itself when there is none, so that a hole is seen
 */
export function t(key, values = {}) {
  const message = current.messages[key] ?? key;
  return message.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function number(value, options = {}) {
  return new Intl.NumberFormat(current.locale, options).format(value);
}

/** Decimal megabytes, as DevTools counts. @param {number} bytes @param {number} [digits] */
export function megabytes(bytes, digits = 1) {
  const value = number(bytes / 1e6, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${value}\u00a0MB`;
}

/** Decimal gigabytes; megabytes of what is less than a tenth of one. @param {number} bytes */
export function gigabytes(bytes) {
  if (bytes < 1e8) return megabytes(bytes, 0);
  const value = number(bytes / 1e9, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return `${value}\u00a0GB`;
}

/** @param {number} value */
export function seconds(value) {
  const digits = value < 0.1 ? 3 : 2;
  return `${number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits })}\u00a0s`;
}
