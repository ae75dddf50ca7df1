// One worker, spoken to by requests. A dead or hung worker rejects everything pending.

import { aborted, PesoLeveError } from './errors.js';
import { VERSION } from './protocol.js';

const WORKER_URL = new URL('../worker/worker.js', import.meta.url);
export const COMPUTE_WORKER_URL = new URL('../worker/compute_worker.js', import.meta.url);
export const FILES_WORKER_URL = new URL('../worker/files_worker.js', import.meta.url);

/** How long a cancelled request may take to stop before the worker is given up. */
const CANCEL_GRACE_MS = 5000;

/**
 * @typedef {import('./protocol.js').Progress} Progress
 * @typedef {object} Pending
 * @property {(value: any) => void} resolve
 * @property {(error: PesoLeveError) => void} reject
 * @property {(progress: Progress) => void} onProgress
 * @property {(piece: import('./protocol.js').Piece) => void} onToken
 * @property {(role: string, content: Uint8Array<ArrayBuffer>) => void} onEarly
 */

export class WorkerClient {
  /** @param {URL} [url] */
  constructor(url = WORKER_URL) {
    /** @type {Map<number, Pending>} */
    this.pending = new Map();
    this.nextId = 1;
    /** Workers that are of no use without this one. @type {WorkerClient[]} */
    this.beside = [];
    /** @type {PesoLeveError | null} why the worker takes no more requests */
    this.dead = null;
    this.worker = new Worker(url, { type: 'module' });
    this.worker.addEventListener('message', ({ data }) => this.receive(data));
    this.worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.kill(new PesoLeveError('worker_died', event.message || 'The worker did not start.'));
    });
    this.worker.addEventListener('messageerror', () => {
      this.kill(new PesoLeveError('protocol_error', 'The worker sent what cannot be read.'));
    });
  }

  /**
   * @template T
   * @param {'init' | 'start' | 'hold' | 'define' | 'rehearse' | 'load' | 'run' | 'generate' | 'unload' | 'prepare' | 'open' | 'weigh' | 'time'} type
   * @param {object | null} payload
   * @param {{onProgress?: (progress: Progress) => void, signal?: AbortSignal | undefined,
   *   onToken?: (piece: import('./protocol.js').Piece) => void,
   *   onEarly?: (role: string, content: Uint8Array<ArrayBuffer>) => void, transfer?: Transferable[]}} [options] an aborted request is cancelled in the worker; one that does
   *   not stop in time takes the worker with it
   * @returns {Promise<T>}
   */
  request(
    type,
    payload,
    { onProgress = () => {}, onToken = () => {}, onEarly = () => {}, signal, transfer = [] } = {},
  ) {
    if (this.dead) return Promise.reject(this.dead);
    if (signal?.aborted) return Promise.reject(aborted());
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let grace;
      const cancel = () => {
        this.worker.postMessage({ v: VERSION, id, type: 'cancel', payload: null });
        grace = setTimeout(() => this.kill(aborted()), CANCEL_GRACE_MS);
      };
      const settle = () => {
        clearTimeout(grace);
        signal?.removeEventListener('abort', cancel);
        this.pending.delete(id);
      };
      signal?.addEventListener('abort', cancel);
      this.pending.set(id, {
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
        onProgress,
        onToken,
        onEarly,
      });
      this.worker.postMessage({ v: VERSION, id, type, payload }, transfer);
    });
  }

  /** @param {import('./protocol.js').FromWorker} message */
  receive(message) {
    if (message.type === 'ready') return;
    if (message.type === 'fatal') {
      const { code, message: text, ...details } = message.error;
      this.kill(new PesoLeveError(code, text, details));
      return;
    }
    const request = this.pending.get(message.id);
    if (request === undefined) return; // answered already: its worker outlived a cancel
    if (message.type === 'progress') request.onProgress(message.progress);
    else if (message.type === 'token') request.onToken(message);
    else if (message.type === 'early') request.onEarly(message.role, message.content);
    else if (message.type === 'result') request.resolve(message.value);
    else {
      const { code, message: text, ...details } = message.error;
      request.reject(new PesoLeveError(code, text, details));
    }
  }

  /**
   * Stop the worker now, and those beside it, and reject everything pending with `error`.
   *
   * @param {PesoLeveError} error
   */
  kill(error) {
    if (this.dead !== null) return;
    this.dead =
      error.code === 'aborted'
        ? new PesoLeveError('worker_died', 'The worker was stopped.')
        : error;
    this.worker.terminate();
    for (const request of [...this.pending.values()]) request.reject(error);
    for (const other of this.beside) other.kill(error);
  }
}
