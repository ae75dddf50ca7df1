// What a GPU does in a fifth of a second: how fast it reads weights, as fp32 and in blocks of 4 bits, how fast it
// multiplies what it holds already, and what it costs to ask it for anything.

/**
 * @typedef {object} GpuRates
 * @property {number} compute float32 multiply-adds a second, of several tokens at once
 * @property {number} float32 bytes of fp32 weights a second
 * @property {number} blocks bytes of 4-bit weights and their scales a second
 * @property {number} dispatch seconds of one more kernel among many
 * @property {number} turn seconds from asking to knowing that it is done
 *
 * @typedef {{pipeline: GPUComputePipeline, group: GPUBindGroup}} Kernel
 */

const WIDTH = 2048; // weights of a row
const TOKENS = 16;
const LANES = 64;

/** Bytes of fp32 weights that are multiplied by several tokens: what the caches of any GPU hold. */
const HELD = 2 ** 20;

/** Kernels in one pass: enough that what one of them takes shows beside the turn. */
const CHAIN = 64;

const MEASURED_MS = 20;
const FEWEST_ROUNDS = 2;
const ENOUGH_SECONDS = 0.004;

// A workgroup a row: each lane sums every 64th word, then the lanes are summed.
const SHADER = `
override words: u32;
@group(0) @binding(0) var<storage, read> weights: array<vec4u>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> sums: array<f32, ${LANES}>;

fn total(lane: u32, sum: f32) -> f32 {
  sums[lane] = sum;
  workgroupBarrier();
  for (var step = ${LANES / 2}u; step > 0u; step /= 2u) {
    if (lane < step) { sums[lane] += sums[lane + step]; }
    workgroupBarrier();
  }
  return sums[0];
}

@compute @workgroup_size(${LANES})
fn float32(@builtin(workgroup_id) row: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var at = lane; at < words; at += ${LANES}u) {
    sum += dot(bitcast<vec4f>(weights[row.x * words + at]), x[at]);
  }
  let all = total(lane, sum);
  if (lane == 0u) { y[row.x] = all; }
}

fn nibbles(word: u32) -> vec4f {
  return vec4f((vec4u(word) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)) - 8.0;
}

@compute @workgroup_size(${LANES})
fn blocks(@builtin(workgroup_id) row: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var at = lane; at < words; at += ${LANES}u) {
    let packed = weights[row.x * words + at];
    var block = 0.0;
    for (var part = 0u; part < 4u; part++) {
      block += dot(nibbles(packed[part]), x[(at * 8u + part * 2u) % ${WIDTH / 4}u]);
      block += dot(nibbles(packed[part] >> 16u), x[(at * 8u + part * 2u + 1u) % ${WIDTH / 4}u]);
    }
    sum += block * x[at % ${WIDTH / 4}u].x; // where a block's scale would be
  }
  let all = total(lane, sum);
  if (lane == 0u) { y[row.x] = all; }
}

@compute @workgroup_size(${LANES})
fn compute(@builtin(workgroup_id) row: vec3u, @builtin(local_invocation_index) lane: u32) {
  var parts: array<f32, ${TOKENS}>;
  for (var at = lane; at < words; at += ${LANES}u) {
    let weight = bitcast<vec4f>(weights[row.x * words + at]);
    for (var token = 0u; token < ${TOKENS}u; token++) {
      parts[token] += dot(weight, x[token * words + at]);
    }
  }
  for (var token = 0u; token < ${TOKENS}u; token++) {
    let all = total(lane, parts[token]);
    if (lane == 0u) { y[row.x * ${TOKENS}u + token] = all; }
    workgroupBarrier();
  }
}

@compute @workgroup_size(1)
fn nothing() { y[0] = bitcast<f32>(weights[0].x) + x[words].x; }
`;

/** @param {number} bytes of weights @returns {Promise<GpuRates>} @throws {Error} without an adapter */
async function measure(bytes) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('there is no GPU to measure');
  const device = await adapter.requestDevice();
  try {
    return await measureDevice(device, Math.floor(bytes / (4 * WIDTH)) * 4 * WIDTH);
  } finally {
    device.destroy();
  }
}

/** @param {GPUDevice} device @param {number} bytes @returns {Promise<GpuRates>} */
async function measureDevice(device, bytes) {
  const rows = bytes / (4 * WIDTH);
  const usage = GPUBufferUsage.STORAGE;
  // 0x3f3f3f3f is 0.75, and in nibbles 3 and 15: nothing is zero, or too small to be normal.
  const filled = (/** @type {number} */ size) => {
    const buffer = device.createBuffer({ size, usage, mappedAtCreation: true });
    new Uint8Array(buffer.getMappedRange()).fill(0x3f);
    buffer.unmap();
    return buffer;
  };
  const [weights, x] = [filled(bytes), filled(4 * WIDTH * TOKENS)];
  const y = device.createBuffer({ size: 4 * TOKENS * rows, usage });
  const module = device.createShaderModule({ code: SHADER });
  /** @param {string} entryPoint @param {number} words @returns {Promise<Kernel>} */
  const kernel = async (entryPoint, words) => {
    const compute = { module, entryPoint, constants: { words } };
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute });
    const entries = [weights, x, y].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const layout = pipeline.getBindGroupLayout(0);
    return { pipeline, group: device.createBindGroup({ layout, entries }) };
  };
  const kernels = await Promise.all([
    kernel('float32', WIDTH / 4),
    kernel('blocks', WIDTH / 4), // as many bytes a row, so eight times the weights
    kernel('compute', WIDTH / 4),
    kernel('nothing', 0),
  ]);
  const [float32, blocks, compute, nothing] = kernels;

  /** @param {Kernel} kernel @param {number} groups @param {number} [times] */
  const submit = async ({ pipeline, group }, groups, times = 1) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  };
  const timed = async (/** @type {() => Promise<void>} */ run) => {
    const from = performance.now();
    await run();
    return (performance.now() - from) / 1000;
  };
  /** The best of several: what else the GPU draws is not the model's. @param {() => Promise<void>} run */
  const best = async (run) => {
    await run(); // warm-up
    const seconds = [];
    for (
      const begun = performance.now();
      seconds.length < FEWEST_ROUNDS || performance.now() - begun < MEASURED_MS;
    ) {
      seconds.push(await timed(run));
    }
    return Math.max(Math.min(...seconds), 1e-6);
  };
  /** @param {Kernel} kernel @param {number} most @returns {Promise<number>} rows a second */
  const rate = async (kernel, most) => {
    // A GPU drawn by the CPU would take seconds for what another does in one millisecond.
    let some = Math.ceil(most / 64);
    while (some < most && (await timed(() => submit(kernel, some))) < ENOUGH_SECONDS) some *= 4;
    const count = Math.min(some, most);
    const seconds = await best(() => submit(kernel, count));
    // What a turn takes is no kernel's; of a GPU that is done before that is known, no more than this is.
    return count / Math.max(seconds - turn, seconds / 10);
  };

  const turn = await best(() => submit(nothing, 1));
  const chain = await best(() => submit(nothing, 1, CHAIN));
  const held = Math.min(HELD, bytes) / (4 * WIDTH);
  return {
    turn,
    dispatch: Math.max(0, chain - turn) / (CHAIN - 1),
    float32: 4 * WIDTH * (await rate(float32, rows)),
    blocks: 4 * WIDTH * (await rate(blocks, rows)),
    compute: WIDTH * TOKENS * (await rate(compute, held)),
  };
}

self.addEventListener('message', async ({ data }) => {
  try {
    self.postMessage(await measure(data.bytes));
  } catch (error) {
    self.postMessage({ error: String(error) }); // a rejection would not reach the page
  }
});

export {}; // a module, as its page starts it
