// Before the click: what a load would fetch, and whether the model will run here.

import { findModel } from './catalog.js';
import { chooseDevice } from './device.js';
import { readLimits } from './limits.js';
import { networkRate } from './network.js';
import { pairs } from './pairs.js';
import { planDownload } from './plan.js';
import { probe, probeGpu } from './probe.js';
import { timeSurrogate } from './surrogate.js';
import { judge } from './verdict.js';

/**
 * @typedef {object} WeighOptions
 * @property {import('./device.js').DeviceOption} [device]
 * @property {string} [dtype] the catalog's default when absent
 * @property {string} [catalogUrl]
 * @property {Partial<import('./limits.js').Limits>} [limits] pretend that this device has these: what
 *   would a smaller one be told?
 * @property {boolean} [surrogate] run the model cut to a few layers, with weights that are made up, for a speed
 *   closer to its own: fetches ONNX Runtime and what Python starts from, and still no weight
 */

/**
 * What a load would fetch here, before anything is fetched.
 *
 * @param {string} id
 * @param {Pick<WeighOptions, 'device' | 'dtype' | 'catalogUrl'>} [options]
 * @returns {Promise<import('./plan.js').DownloadPlan & {choice: import('./device.js').DeviceChoice}>}
 * @throws {import('./errors.js').PesoLeveError}
 */
export async function plan(id, { device = 'auto', dtype, catalogUrl } = {}) {
  const model = await findModel(id, catalogUrl);
  const chosen = dtype ?? model.default_dtype;
  const choice = await chooseDevice(device, model, chosen);
  return { ...(await planDownload(model, chosen, choice)), choice };
}

/**
 * Whether a model will run here, how fast, and in how much memory, before any weight is fetched. The
 * first call measures the device for less than half a second, in workers; later ones know.
 *
 * @param {string} id
 * @param {WeighOptions} [options]
 * @returns {Promise<import('./verdict.js').Verdict>}
 * @throws {import('./errors.js').PesoLeveError}
 */
export async function weigh(
  id,
  { device = 'auto', dtype, catalogUrl, limits, surrogate = false } = {},
) {
  const model = await findModel(id, catalogUrl);
  const chosen = dtype ?? model.default_dtype;
  const choice = await chooseDevice(device, model, chosen);
  const onGpu = choice.devices.includes('webgpu');
  const [planned, known, rates, gpu] = await Promise.all([
    planDownload(model, chosen, choice),
    readLimits(onGpu, limits),
    probe(),
    onGpu ? probeGpu(choice.adapter) : null,
  ]);
  const basis = {
    model,
    dtype: chosen,
    choice,
    plan: planned,
    limits: known,
    rates,
    gpu,
    network: networkRate(),
    pairs: pairs(),
    surrogate: null,
  };
  const verdict = judge(basis);
  if (!surrogate || verdict.verdict === 'no') return verdict;
  const timed = await timeSurrogate(model, verdict.device, chosen, choice, rates, catalogUrl);
  // They are here now, and their arrival told of the connection.
  return judge({
    ...basis,
    plan: await planDownload(model, chosen, choice, timed !== null),
    surrogate: timed,
    network: timed?.network ?? basis.network,
  });
}
