// A model's decoded files on their way from one worker to the next.

/** @param {import('./protocol.js').Contents} contents @returns {ArrayBuffer[]} what is handed over, not copied */
export function transferable(contents) {
  const parts = Object.values(contents).flatMap((roles) => Object.values(roles));
  return [...new Set(parts.map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer)))];
}
