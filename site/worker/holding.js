// A model's files as the compute worker holds them, and what is open of them. The first device is opened as soon as
// the files are here, whoever asks.

import { discard } from './memory.js';

/**
 * @typedef {import('../js/protocol.js').HoldPayload} HoldPayload
 * @typedef {import('onnxruntime-web').InferenceSession} InferenceSession
 * @typedef {import('./decoder_host.js').DecoderHost} DecoderHost
 * @typedef {import('./decoder_wasm.js').WasmDecoder} WasmDecoder
 * @typedef {import('./ort_host.js').OrtHost} OrtHost
 * @typedef {{data: BigInt64Array | Float32Array, dims: readonly number[]}} Dense
 * @typedef {object} Opened
 * @property {number} model
 * @property {number} seconds
 * @property {readonly string[]} inputNames of a session
 * @property {readonly string[]} outputNames of a session
 * @property {number} widest of a decoder
 */

const NO_NAMES = { inputNames: [], outputNames: [] };

/** @param {InferenceSession} session */
function namesOf({ inputNames, outputNames }) {
  return { inputNames, outputNames, widest: 1 };
}

export class Holding {
  /** @param {Promise<OrtHost>} host */
  constructor(host) {
    this.host = host;
    /** @type {HoldPayload | null} */
    this.held = null;
    /** @type {Map<string, Promise<Opened>>} under way, or opened before it was asked for */
    this.opening = new Map();
    /** @type {Map<number, InferenceSession | DecoderHost | WasmDecoder>} */
    this.models = new Map();
    this.nextModel = 1;
  }

  /** @param {HoldPayload} payload */
  take(payload) {
    this.held = payload;
    const [first = ''] = payload.devices;
    const opening = this.begin(first);
    opening.catch(() => {}); // whoever asks for it is told
    this.opening.set(first, opening);
  }

  /** @param {string} device @returns {Promise<Opened>} */
  async open(device) {
    const ahead = this.opening.get(device);
    this.opening.delete(device);
    return await (ahead ?? this.begin(device));
  }

  /** @param {string} device @returns {Promise<Opened>} */
  async begin(device) {
    const host = await this.host;
    const { held } = this;
    const how = held?.how[device];
    const files = held?.files[device];
    if (how === undefined || files?.graph === undefined || files.weights === undefined) {
      throw new Error(`there are no files for ${device}`);
    }
    const last = device === held?.devices.at(-1);
    const begun = performance.now();
    const { graph, weights } = files;
    const { config, kvShape } = how;
    const layout = /** @type {import('./expand.js').Layout} */ (how.layout);
    const opened =
      kvShape === null
        ? await host.openSession(device, graph, /** @type {Uint8Array} */ (weights), config)
        : await host.openDecoder(device, graph, weights, layout, config, kvShape, last);
    if (last) this.letGo(weights);
    const name = this.nextModel++;
    this.models.set(name, opened);
    return {
      model: name,
      seconds: (performance.now() - begun) / 1000,
      ...('feed' in opened ? { ...NO_NAMES, widest: opened.widest } : namesOf(opened)),
    };
  }

  /** No device comes after this one, and these may be 100 MB. @param {Uint8Array<ArrayBuffer> | import('../js/protocol.js').Part[]} weights */
  letGo(weights) {
    this.held = null;
    if (!Array.isArray(weights) && weights.buffer.byteLength > 0) discard(weights.buffer);
  }

  /** @param {number} model @param {Record<string, Dense>} feeds int64 @returns {Promise<Record<string, Dense>>} */
  async run(model, feeds) {
    const { ort } = await this.host;
    const session = /** @type {InferenceSession} */ (this.models.get(model));
    const tensors = Object.entries(feeds).map(([name, { data, dims }]) => [
      name,
      new ort.Tensor('int64', /** @type {BigInt64Array} */ (data), dims),
    ]);
    const outputs = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => {
        const { data, dims } = tensor;
        return [name, { data: /** @type {Float32Array} */ (data), dims }];
      }),
    );
  }

  /** @param {number} model @returns {DecoderHost | WasmDecoder} */
  decoder(model) {
    return /** @type {DecoderHost | WasmDecoder} */ (this.models.get(model));
  }

  /** @param {number} model */
  async release(model) {
    const open = this.models.get(model);
    this.models.delete(model);
    await open?.release();
  }
}
