// Where the keyboard goes on when the button that it was on is gone: where the eye does.

/** In each state of the page, the component and its control; of several, the one that is there. */
const NEXT = new Map([
  ['loading', [['pl-load-progress', 'button']]],
  ['paused', [['pl-model-card', '.button']]],
  [
    'ready',
    [
      ['pl-semantic-search', 'input'],
      ['pl-chat-panel', '.chat__prompt'],
    ],
  ],
]);

/** @param {HTMLElement} page @param {string} state that it has come to */
export async function moveFocus(page, state) {
  for (const [component, control] of NEXT.get(state) ?? []) {
    const element = /** @type {import('../components/element.js').PageElement | null} */ (
      page.querySelector(/** @type {string} */ (component))
    );
    await element?.updateComplete;
    /** @type {HTMLElement | null | undefined} */ (
      element?.querySelector(/** @type {string} */ (control))
    )?.focus();
  }
}
