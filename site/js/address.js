// What a visitor, or a test, may ask for in the address: ?model=minilm-l6&device=wasm, and to see what a
// smaller device would be told, ?wasm_memory=100000000, in bytes.

/** @typedef {import('./device.js').DeviceOption} DeviceOption */

export const asked = new URLSearchParams(location.search);

export const device = /** @type {DeviceOption} */ (asked.get('device') ?? 'auto');

/** @type {Partial<import('./limits.js').Limits>} */
export const limits = Object.fromEntries(
  ['wasm_memory', 'device_memory', 'quota', 'gpu_buffer']
    .filter((name) => Number(asked.get(name)) > 0)
    .map((name) => [name, Number(asked.get(name))]),
);

/** Keep the choice of a model in the address, so that it can be shared. @param {string} id */
export function showModel(id) {
  asked.set('model', id);
  history.replaceState(null, '', `?${asked}${location.hash}`);
}
