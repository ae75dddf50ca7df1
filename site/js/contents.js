// A model's decoded files on their way from one worker to the next.

/** @param {import('./protocol.js').Contents} contents @returns {ArrayBuffer[]} what is handed over, not copied */
export function transferable(contents) {
  const all = Object.values(contents).flatMap((roles) => Object.values(roles));
  const buffers = all.flatMap((one) =>
    Array.isArray(one) ? one.flatMap(({ content }) => content?.buffer ?? []) : [one.buffer],
  );
  return [...new Set(buffers)];
}
