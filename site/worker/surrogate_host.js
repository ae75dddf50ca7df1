// A cut model, opened as the whole would be: read a prompt, write a token.

import { DecoderHost } from './decoder_host.js';
import { WasmDecoder } from './decoder_wasm.js';
import { FUSED, INT8_STEPS, keptOnGpu } from './ort_host.js';
import { ortModule } from './ort_module.mjs';

/**
 * @typedef {object} Runner
 * @property {(ids: number[]) => Promise<void>} read a prompt, from the beginning
 * @property {((id: number) => Promise<void>) | null} write a token after it; null for an encoder
 * @property {() => Promise<void>} release
 */

/** Of every byte: small positive numbers in fp32, fp16 and in any integers, and never a NaN. */
const FILL = 0x3c;

/** @param {number} bytes */
export function madeUpWeights(bytes) {
  return new Uint8Array(bytes).fill(FILL);
}

/** The name that a cut graph knows its weights by (export/pesoleve/graph/surrogate.py). */
const EXTERNAL_DATA = 'weights.bin';

/**
 * @param {import('./ort_host.js').OrtHost} host
 * @param {Pick<import('../js/surrogate.js').Question, 'device' | 'layout' | 'config' | 'kvShape'>} question
 * @param {number} layers
 * @param {Uint8Array} graph
 * @param {Uint8Array} weights
 * @returns {Promise<Runner>}
 */
export async function openSurrogate(host, question, layers, graph, weights) {
  const { device, layout, config, kvShape } = question;
  const external = [{ path: EXTERNAL_DATA, data: weights }];
  const wasm = device !== 'webgpu';
  const session = await host.create(wasm ? 'wasm' : device, graph, external, {
    extra: config,
    ...(kvShape === null ? {} : decoderOptions(wasm, [layers, ...kvShape])),
  });
  if (kvShape === null) {
    return {
      read: (ids) => encode(host, session, ids),
      write: null,
      release: () => session.release(),
    };
  }
  const steps = layout === 'int8' ? INT8_STEPS : null;
  const decoder = wasm
    ? new WasmDecoder(ortModule(), session, kvShape, steps)
    : new DecoderHost(host.ort, session, kvShape);
  return {
    async read(ids) {
      decoder.truncate(0);
      await decoder.feed(ids, 1, 1);
    },
    async write(id) {
      await decoder.feed([id], 1, 1);
    },
    release: () => decoder.release(),
  };
}

/** @param {boolean} wasm @param {[number, number, number]} kvShape */
function decoderOptions(wasm, kvShape) {
  return wasm ? FUSED : { preferredOutputLocation: keptOnGpu(kvShape) };
}

/**
 * @param {import('./ort_host.js').OrtHost} host
 * @param {import('onnxruntime-web').InferenceSession} session
 * @param {number[]} ids
 */
async function encode(host, session, ids) {
  const feeds = session.inputNames.map((name) => {
    const values = name === 'input_ids' ? ids : ids.map(() => (name === 'attention_mask' ? 1 : 0));
    return [name, host.int64Tensor(values, 1, ids.length)];
  });
  const outputs = await session.run(Object.fromEntries(feeds));
  for (const tensor of Object.values(outputs)) tensor.dispose();
}
