// A few words that the browser keeps for this site, where it keeps any: what is asked for and is not there,
// or is not what was kept, is as if it had never been.

/**
 * Where the browser keeps nothing for this site, what is kept lasts as long as the page.
 *
 * @template T
 * @param {() => T} use of the storage
 * @returns {T | null}
 */
export function ifKept(use) {
  try {
    return use();
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

/** @param {string} key @returns {unknown} null where nothing is kept, or somebody else's words */
export function readKept(key) {
  const text = ifKept(() => localStorage.getItem(key));
  try {
    return JSON.parse(text ?? 'null');
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** @param {string} key @param {unknown} value JSON */
export function keep(key, value) {
  ifKept(() => localStorage.setItem(key, JSON.stringify(value)));
}

/** @param {string} key */
export function forget(key) {
  ifKept(() => localStorage.removeItem(key));
}
