// How far a load has come: progress messages folded into rows that a page can show.

/**
 * @typedef {import('./protocol.js').Progress} Progress
 * @typedef {import('./plan.js').DownloadPlan} DownloadPlan
 * @typedef {'runtime' | 'python' | 'weights' | 'session' | 'warm_up'} StageName
 * @typedef {'waiting' | 'under_way' | 'done'} StageStatus
 * @typedef {{name: StageName, status: StageStatus, loaded: number, total: number}} Stage
 *   `total` is bytes; 0 for a stage that has none
 * @typedef {{stages: Stage[], loaded: number, total: number}} LoadState
 */

/** @type {Partial<Record<import('./protocol.js').Phase, StageName>>} */
const STAGE_OF = {
  runtime: 'runtime',
  python: 'python',
  tokenizer: 'weights',
  graph: 'weights',
  ngrams: 'weights',
  weights: 'weights',
  decode: 'session',
  session: 'session',
  warm_up: 'warm_up',
};

export class LoadProgress {
  /** @param {DownloadPlan} plan */
  constructor(plan) {
    /** @type {Record<StageName, number>} */
    this.totals = {
      runtime: plan.runtime,
      python: plan.python,
      weights: plan.model,
      session: 0,
      warm_up: 0,
    };
    /** @type {Map<string, number>} bytes so far, by file */
    this.files = new Map();
    /** @type {Map<string, StageStatus>} of the stages that have no bytes */
    this.statuses = new Map();
  }

  /** @param {Progress} progress */
  add({ phase, file, loaded, total }) {
    const stage = STAGE_OF[phase];
    if (stage === undefined) return;
    if (this.totals[stage] > 0) {
      const key = `${stage}/${file}`;
      this.files.set(key, Math.max(loaded, this.files.get(key) ?? 0));
    } else {
      this.statuses.set(
        stage,
        loaded < total || (stage === 'session' && phase !== 'session') ? 'under_way' : 'done',
      );
    }
  }

  /** @returns {LoadState} */
  state() {
    const stages = Object.entries(this.totals).map(([key, total]) => {
      const name = /** @type {StageName} */ (key);
      if (total === 0) {
        return { name, status: this.statuses.get(name) ?? 'waiting', loaded: 0, total };
      }
      let loaded = 0;
      for (const [file, bytes] of this.files) if (file.startsWith(`${name}/`)) loaded += bytes;
      loaded = Math.min(loaded, total);
      /** @type {StageStatus} */
      const status = loaded >= total ? 'done' : loaded > 0 ? 'under_way' : 'waiting';
      return { name, status, loaded, total };
    });
    const sum = (/** @type {'loaded' | 'total'} */ key) =>
      stages.reduce((bytes, stage) => bytes + stage[key], 0);
    return { stages, loaded: sum('loaded'), total: sum('total') };
  }
}
