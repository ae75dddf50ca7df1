// A conversation with a text_generation model: its turns, the answer under way, what stopped it.

import { aborted, asPesoLeveError } from './errors.js';

/**
 * @typedef {import('./pesoleve.js').Model} Model
 * @typedef {import('./pesoleve.js').Generation} Generation
 * @typedef {import('./pesoleve.js').GenerateOptions} GenerateOptions
 * @typedef {import('../worker/chat_template.js').Message} Message
 *
 * @typedef {{prefill: {loaded: number, total: number} | null, tokens: number,
 *   firstToken: number | null, rate: number | null}} Live
 *   Measured here while the answer comes: seconds, and tokens a second after the first piece.
 * @typedef {{role: 'user' | 'assistant', content: string, stopped: boolean,
 *   generation: Generation | null, live: Live | null}} Turn  An answer that was cut short has only `live`.
 * @typedef {(
 *   | {kind: 'idle'}
 *   | {kind: 'answering', abort: AbortController}
 *   | {kind: 'restarting'}
 *   | {kind: 'failed', error: import('./errors.js').PesoLeveError}
 * )} ConversationState
 */

/** After these there is no model to ask. */
const BROKEN = new Set(['worker_died', 'run_failed']);

/** @param {Generation} generation @returns {number | null} after the first token, which prefill pays for */
export function tokensPerSecond({ generated_tokens, seconds }) {
  return generated_tokens > 1 && seconds.decode > 0
    ? (generated_tokens - 1) / seconds.decode
    : null;
}

/** @param {import('./catalog_types.js').Model} entry @returns {number} tokens, prompt and answer */
export function contextLimit({ pipeline, shape }) {
  return 'context' in pipeline ? pipeline.context : shape.context;
}

export class Conversation {
  /** @param {() => void} changed called whenever there is something new to show */
  constructor(changed) {
    this.changed = changed;
    /** @type {Turn[]} */
    this.turns = [];
    this.system = '';
    /** Whether the oldest turns are left out when the context is too short for all. */
    this.trim = false;
    /** @type {ConversationState} */
    this.state = { kind: 'idle' };
  }

  get busy() {
    return this.state.kind === 'answering' || this.state.kind === 'restarting';
  }

  /** Whether the model is to be restarted before it is asked again. */
  get broken() {
    return this.state.kind === 'failed' && BROKEN.has(this.state.error.code);
  }

  /** @returns {Generation['context'] | null} as the newest answer left it */
  get context() {
    return this.turns.findLast((turn) => turn.generation !== null)?.generation?.context ?? null;
  }

  /**
   * What the model is to answer. Chat templates want the roles to alternate, so turns that were never
   * answered are joined to the next.
   *
   * @returns {Message[]}
   */
  messages() {
    /** @type {Message[]} */
    const messages = [];
    if (this.system.trim() !== '') messages.push({ role: 'system', content: this.system });
    for (const { role, content } of this.turns) {
      const last = messages.at(-1);
      if (last?.role === role) last.content += `\n\n${content}`;
      else messages.push({ role, content });
    }
    return messages;
  }

  /** @param {Model} model @param {string} content @param {GenerateOptions} options */
  async send(model, content, options) {
    this.turns.push({ role: 'user', content, stopped: false, generation: null, live: null });
    await this.answer(model, options);
  }

  /** Answer the last question once more. @param {Model} model @param {GenerateOptions} options */
  async again(model, options) {
    if (this.broken) {
      this.enter({ kind: 'restarting' });
      try {
        await model.restart();
      } catch (error) {
        this.enter({ kind: 'failed', error: asPesoLeveError(error) });
        return;
      }
    }
    if (this.turns.at(-1)?.role === 'assistant') this.turns.pop();
    await this.answer(model, options);
  }

  /** @param {Model} model @param {GenerateOptions} options */
  async answer(model, options) {
    const messages = this.messages();
    /** @type {Live} */
    const live = { prefill: null, tokens: 0, firstToken: null, rate: null };
    /** @type {Turn} */
    const turn = { role: 'assistant', content: '', stopped: false, generation: null, live };
    const abort = new AbortController();
    const earlier = model.stats.generations.length;
    this.turns.push(turn);
    this.enter({ kind: 'answering', abort });
    /** @type {ConversationState} */
    let end = { kind: 'idle' };
    const onPrefill = (/** @type {number} */ loaded, /** @type {number} */ total) => {
      live.prefill = { loaded, total };
      this.changed();
    };
    const trim = this.trim ? 'oldest' : undefined;
    const measure = stopwatch(live);
    try {
      const pieces = model.generate(messages, {
        ...options,
        trim,
        signal: abort.signal,
        onPrefill,
      });
      for await (const piece of pieces) {
        turn.content += piece.text;
        measure(piece.token_ids.length);
        this.changed();
      }
    } catch (failure) {
      const error = asPesoLeveError(failure);
      turn.stopped = true;
      // Disposed of while it answered: whoever did that knows.
      const wanted = abort.signal.aborted || error.code === 'not_loaded';
      if (!wanted) end = { kind: 'failed', error };
    }
    if (model.stats.generations.length > earlier)
      turn.generation = model.stats.generations.at(-1) ?? null;
    if (turn.stopped && turn.content === '') this.turns.pop();
    this.enter(end);
  }

  stop() {
    if (this.state.kind === 'answering') this.state.abort.abort(aborted());
  }

  clear() {
    this.turns = [];
    this.trim = false;
    this.enter({ kind: 'idle' });
  }

  /** @returns {string} the last question, which is then no turn any more, nor is its answer */
  takeBack() {
    const asked = this.turns.findLastIndex((turn) => turn.role === 'user');
    const [turn] = asked < 0 ? [] : this.turns.splice(asked);
    this.enter({ kind: 'idle' });
    return turn?.content ?? '';
  }

  /** @param {ConversationState} state */
  enter(state) {
    this.state = state;
    this.changed();
  }
}

/** @param {Live} live @returns {(tokens: number) => void} to be told of every piece */
function stopwatch(live) {
  const begun = performance.now();
  let firstAt = 0;
  let firstTokens = 0;
  return (tokens) => {
    const now = performance.now();
    live.tokens += tokens;
    if (live.firstToken === null) {
      live.firstToken = (now - begun) / 1000;
      firstAt = now;
      firstTokens = tokens;
    } else if (now > firstAt) {
      live.rate = (1000 * (live.tokens - firstTokens)) / (now - firstAt);
    }
  };
}
