// What the page and the worker say to each other. Every message is an envelope {v, id, type, …}.
//
//   page ─► worker    init, define, load, run, generate, unload: each answered by any number of `progress`
//                     and `token`, then exactly one `result` or `error` with the same id. cancel names
//                     another request's id and has no answer of its own.
//   page ─► compute   start, hold, rehearse: likewise.
//   worker ─► page    unasked: `ready` once it listens, `fatal` when it cannot go on.
//   worker ─► compute open, run, feed, truncate, reserve, release, told: calls over a port (worker/calls.js).
//
// The page owns wording; the worker owns codes.

export const VERSION = 1;

/**
 * @typedef {'runtime' | 'python' | 'tokenizer' | 'ngrams' | 'graph' | 'weights' | 'decode' |
 *   'session' | 'warm_up' | 'prefill'} Phase
 * @typedef {'wasm' | 'jspi' | 'asyncify'} RuntimeBuild
 *   ONNX Runtime Web's builds: WASM alone, or with WebGPU, by JSPI where the browser has it.
 *
 * @typedef {{phase: Phase, file: string, loaded: number, total: number}} Progress
 *   `loaded` of `total` bytes; a phase without bytes goes from 0 of 1 to 1 of 1; `prefill` counts tokens.
 *
 * @typedef {{port: MessagePort}} InitPayload  to the compute worker
 * @typedef {{build: RuntimeBuild, threads: number, port: MessagePort}} StartPayload  to Python's worker
 * @typedef {Record<string, Record<string, Uint8Array<ArrayBuffer>> & {weights?: Uint8Array<ArrayBuffer> | Part[]}>} Contents
 *   by device and role; devices share what is alike
 * @typedef {{sha256: string, bytes: number} & ({handle: FileSystemFileHandle, content: null} |
 *   {handle: null, content: Uint8Array<ArrayBuffer>})} Part  a decoded shard, on the disk or in memory
 * @typedef {{model: string, dtype: string, tokenizer: Uint8Array}} DefinePayload  what a load is of, before its
 *   weights are here; `model` is the catalog entry as JSON
 * @typedef {{graph: Uint8Array, weightBytes: number, config: Record<string, string>}} RehearsePayload  of the
 *   model's own graph on WASM, while its weights are on their way
 * @typedef {{layout: import('./catalog_types.js').Device['layout'], config: Record<string, string>,
 *   kvShape: [number, number, number] | null}} How  a device opens a model: what its weights expand to, its session's
 *   configuration, and of a decoder its layers, key and value heads, and the size of a head
 * @typedef {{devices: string[], files: Contents, how: Record<string, How>}} HoldPayload  the first device is opened
 *   at once
 * @typedef {{devices: string[], ngrams: Uint8Array | null}} LoadPayload
 *
 * @typedef {object} PreparePayload  what site/worker/files_worker.js is asked for
 * @property {Record<string, Record<string, import('./catalog_types.js').File[]>>} files shards in order, by
 *   device and role
 * @property {string} baseUrl
 * @property {boolean} keep for the next visit
 * @property {boolean} sparing whether weights are handed over in parts, where there is little memory: they stay on the
 *   disk until they are wanted
 * @property {Partial<Patience>} patience
 * @typedef {import('../worker/download.js').Patience} Patience
 * @typedef {'asked' | 'unsupported' | 'quota' | 'disk_full' | null} StoreReason  why nothing is kept
 * @typedef {{kind: 'opfs' | 'cache' | 'memory', reason: StoreReason}} Storage
 * @typedef {{role: string, path: string, url: string, from: 'network' | 'disk', bytes: number,
 *   wireBytes: number, decodedBytes: number, start: number, seconds: number}} ModelFile
 *   `bytes` crossed the network for this load, of the `wireBytes` that it takes cold; `start` in seconds
 *   since the epoch
 * @typedef {{contents: Contents, files: ModelFile[], store: Storage, seconds: Record<string, number>,
 *   held: {peak: number, end: number}, fetched: FetchedFile[]}} Prepared  `held`: bytes of the files in
 *   memory, at most and in the end
 *
 * @typedef {{inputs: unknown}} RunPayload
 * @typedef {{messages: unknown, options: object}} GeneratePayload
 *
 * @typedef {{url: string, from: 'network' | 'disk' | 'service_worker', bytes: number, wireBytes: number,
 *   decodedBytes: number, start: number, seconds: number}} FetchedFile
 *   Read from the browser's own resource timing. `bytes` crossed the network now, of the `wireBytes` that
 *   it takes cold; `start` in seconds since the epoch, which is the same on every thread.
 * @typedef {{python: number, runtime: number}} Memory  Bytes of each WebAssembly heap.
 * @typedef {{device: string, code: string, message: string}} Rejected
 * @typedef {{
 *   device: string,
 *   canary_difference: number,
 *   rejected: Rejected[],
 *   seconds: Record<string, number>,
 *   fetched: FetchedFile[],
 *   memory: Memory,
 * }} LoadResult
 * @typedef {{vectors: Float32Array[]}} RunResult
 * @typedef {{text: string, token_ids: number[], log_probabilities: number[]}} Piece
 *   What was generated since the piece before; log-probabilities only if they were asked for.
 * @typedef {object} GenerateResult
 * @property {string} text
 * @property {number[]} token_ids
 * @property {'eos' | 'stop' | 'length' | 'context'} finish_reason
 * @property {number} prompt_tokens
 * @property {number} cached_tokens of the prompt, which the KV cache held already
 * @property {number} accepted_tokens that were guessed
 * @property {number[]} log_probabilities
 * @property {{prefill: number, first_token: number, decode: number}} timings seconds
 * @property {{used: number, limit: number}} context tokens
 * @property {string} device where the answer ended
 *
 * @typedef {{code: import('./errors.js').ErrorCode, message: string, phase: string,
 *   retryable: boolean, traceback: string}} ErrorReport
 *
 * @typedef {(
 *   | {type: 'init', payload: InitPayload}
 *   | {type: 'define', payload: DefinePayload}
 *   | {type: 'load', payload: LoadPayload}
 *   | {type: 'run', payload: RunPayload}
 *   | {type: 'generate', payload: GeneratePayload}
 *   | {type: 'unload', payload: null}
 *   | {type: 'cancel', payload: null}
 * ) & {v: number, id: number}} ToWorker
 *
 * @typedef {(
 *   | {type: 'start', payload: StartPayload}
 *   | {type: 'hold', payload: HoldPayload}
 *   | {type: 'rehearse', payload: RehearsePayload}
 * ) & {v: number, id: number}} ToCompute
 *
 * @typedef {(
 *   | {type: 'progress', id: number, progress: Progress}
 *   | {type: 'token', id: number} & Piece
 *   | {type: 'early', id: number, role: string, content: Uint8Array<ArrayBuffer>}
 *   | {type: 'result', id: number, value: unknown}
 *   | {type: 'error', id: number, error: ErrorReport}
 *   | {type: 'ready'}
 *   | {type: 'fatal', error: ErrorReport}
 * ) & {v: number}} FromWorker
 */
