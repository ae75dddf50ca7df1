// The page's verdict on what the visitor is about to load: weighed while they decide, and closer when asked.

import { weigh } from './pesoleve.js';

/** Whoever clicks at once wants the model, not to wait for the device to be measured. */
const UNDECIDED_MS = 300;

/** @typedef {() => boolean} Wanted  whether the visitor still decides on what is being weighed */

export class WeighIn {
  /**
   * @param {Pick<import('./weigh.js').WeighOptions, 'device' | 'limits'>} options
   * @param {() => void} onChange
   */
  constructor(options, onChange) {
    this.options = options;
    this.onChange = onChange;
    /** @type {import('./verdict.js').Verdict | null} */
    this.verdict = null;
    /** Whether a cut model is being timed. */
    this.timing = false;
    /** @type {Set<string>} those that were, of which no other verdict is as close */
    this.timed = new Set();
    /** Whether a model has been loaded in this page, and ONNX Runtime with it. */
    this.runtimeIsHere = false;
  }

  forget() {
    this.verdict = null;
    this.onChange();
  }

  /** The verdict on this dtype: the latest may be on the one that was chosen before. @param {string} dtype */
  of(dtype) {
    return this.verdict?.dtype === dtype ? this.verdict : null;
  }

  /** @param {string} id @param {string} dtype @param {Wanted} wanted */
  async weigh(id, dtype, wanted) {
    await new Promise((resolve) => setTimeout(resolve, UNDECIDED_MS));
    if (!wanted()) return;
    const surrogate = this.timed.has(`${id}/${dtype}`);
    const found = await weigh(id, { ...this.options, dtype, surrogate });
    if (!wanted()) return;
    this.verdict = found;
    this.onChange();
  }

  /** Time a cut model where nothing but it would be fetched. @param {string} id @param {string} dtype @param {Wanted} wanted */
  async timeIfCheap(id, dtype, wanted) {
    if (this.runtimeIsHere && this.verdict?.basis === 'probe') await this.time(id, dtype, wanted);
  }

  /** Run the model cut to a few of its layers. @param {string} id @param {string} dtype @param {Wanted} wanted */
  async time(id, dtype, wanted) {
    if (this.timing) return;
    this.timing = true;
    this.onChange();
    try {
      const found = await weigh(id, { ...this.options, dtype, surrogate: true });
      this.timed.add(`${id}/${dtype}`);
      if (wanted()) this.verdict = found;
    } finally {
      this.timing = false;
      this.onChange();
    }
  }
}
