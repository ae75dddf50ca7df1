// Every failure arrives as a PesoLeveError with one of these codes: the tree of
// python_worker/pesoleve_worker/errors.py, which a test holds this list to.

export const CODES = /** @type {const} */ ([
  'catalog_unavailable',
  'catalog_invalid',
  'model_unknown',
  'option_invalid',
  'download_failed',
  'file_truncated',
  'hash_mismatch',
  'insecure_context',
  'runtime_failed',
  'session_failed',
  'device_unavailable',
  'canary_mismatch',
  'run_failed',
  'input_invalid',
  'prompt_too_long',
  'aborted',
  'worker_died',
  'not_loaded',
  'protocol_error',
  'internal',
]);

/** @typedef {typeof CODES[number]} ErrorCode */

export class PesoLeveError extends Error {
  /**
   * @param {ErrorCode} code what happened; stable, never renamed
   * @param {string} message for developers; people are told by code, in their language
   * @param {{phase?: string, retryable?: boolean, traceback?: string, cause?: unknown}} [details]
   */
  constructor(code, message, details = {}) {
    super(message, { cause: details.cause });
    this.name = 'PesoLeveError';
    this.code = code;
    this.phase = details.phase ?? '';
    /** Whether trying again, with nothing changed, may succeed. */
    this.retryable = details.retryable ?? false;
    this.traceback = details.traceback ?? '';
  }
}

/** @returns {PesoLeveError} */
export function aborted() {
  return new PesoLeveError('aborted', 'The caller cancelled the work.');
}

/**
 * @param {unknown} error
 * @param {ErrorCode} code what to call an error that has no code yet
 * @returns {PesoLeveError}
 */
export function asPesoLeveError(error, code = 'internal') {
  if (error instanceof PesoLeveError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PesoLeveError(code, message, { cause: error });
}
