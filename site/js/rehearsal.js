// While weights are on their way, and there is time: the model's own graph is opened and run with weights that are
// made up. The browser compiles what that takes, and has less to do when the last byte is here.

/** Seconds that the weights must still take: a rehearsal takes one on a slow device. */
const WORTHWHILE = 2;

/** Bytes of weights: a rehearsal holds as many, for a moment. */
const MOST = 2 ** 26;

export class Rehearsal {
  /**
   * @param {import('./catalog_types.js').Model} entry
   * @param {string} device the first to be tried
   * @param {import('./catalog_types.js').File[]} weights
   */
  constructor(entry, device, weights) {
    this.config = entry.devices[device]?.session_config ?? {};
    this.weightBytes = weights.reduce((sum, { decoded_bytes: bytes }) => sum + bytes, 0);
    this.total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
    this.possible =
      device === 'wasm' && entry.task !== 'text_generation' && this.weightBytes <= MOST;
    /** @type {Map<string, number>} bytes so far, by file */
    this.loaded = new Map();
    this.begun = performance.now();
  }

  /** @param {import('./protocol.js').Progress} progress */
  add({ phase, file, loaded }) {
    if (phase === 'weights') this.loaded.set(file, loaded);
  }

  /** Whether the weights will be a while; where none came yet, nobody knows. */
  hasTime() {
    const loaded = [...this.loaded.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (!this.possible || loaded === 0) return false;
    const seconds = (performance.now() - this.begun) / 1000;
    return (seconds * (this.total - loaded)) / loaded > WORTHWHILE;
  }
}
