// node python_snapshot.mjs PYODIDE WORKER SLIM OUTPUT: run python_archive.py in Pyodide, start a Python of what it
// makes, import all that the page may want, and write what its memory holds then.
//
// Of the memory only the lines that differ from what WebAssembly starts with, since the browser has those in
// pyodide.asm.wasm: 1.5 MB in place of 2.4 with brotli. site/worker/python_snapshot.js reads it. Little-endian:
//
//   4 x uint32            bytes of Pyodide's header, bytes of memory, bytes that WebAssembly starts with, lines
//   Pyodide's header      which JS objects Python holds
//   uint32 a line         how many lines after the one before
//   64 bytes a line

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const LINE = 64;

const [pyodideFolder, workerFolder, slimFolder, output] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(pyodideFolder, 'pyodide.mjs')).href);
const { default: createModule } = await import(
  pathToFileURL(join(pyodideFolder, 'pyodide.asm.mjs')).href
);
const program = await readFile(new URL('python_archive.py', import.meta.url), 'utf8');
const indexURL = pyodideFolder;

/**
 * @param {string} folder for what is made on the way
 * @returns {Promise<{stdLibURL: string, modules: string[]}>} the archive of bytecode, and what to import of it
 */
async function archive(folder) {
  const library = join(folder, 'library.zip');
  const whole = await loadPyodide({ indexURL });
  whole.mountNodeFS('/slim', slimFolder);
  whole.runPython(program);
  await writeFile(library, whole.globals.get('slim_library')('/slim').toJs());
  // What is needed shows in a Python that has the slim modules.
  const slim = await loadPyodide({ indexURL, stdLibURL: library });
  slim.mountNodeFS('/worker', workerFolder);
  slim.runPython(program);
  const modules = slim.globals.get('ready')('/worker');
  const stdLibURL = join(folder, 'bytecode.zip');
  await writeFile(stdLibURL, slim.globals.get('archive')('/worker', modules).toJs());
  return { stdLibURL, modules: modules.toJs() };
}

/**
 * @param {{stdLibURL: string, modules: string[]}} archive
 * @returns {Promise<Uint8Array>} as Pyodide takes it: its header, and the memory
 */
async function takeSnapshot({ stdLibURL, modules }) {
  const python = await loadPyodide({ indexURL, stdLibURL, _makeSnapshot: true });
  python.runPython(program);
  const names = python.toPy(modules);
  const settle = python.globals.get('settle');
  settle(names);
  // What JS still holds of Python would be held for ever. Hashes have the seed of this Python in every visitor's, which
  // keeps no secret: what a page's own Python reads is its own visitor's.
  names.destroy();
  settle.destroy();
  return python.makeMemorySnapshot();
}

/** @param {Uint8Array} snapshot @returns {Promise<Uint8Array>} the memory before any of it ran */
async function beginning(snapshot) {
  let memory = new Uint8Array(0);
  await loadPyodide({
    indexURL,
    _loadSnapshot: snapshot,
    createPyodideModule(settings) {
      settings.preRun = [(module) => void (memory = module.HEAPU8.slice())];
      return createModule(settings);
    },
  });
  return memory;
}

/** @param {Uint8Array} snapshot @param {Uint8Array} start @returns {Buffer} */
function difference(snapshot, start) {
  const headerBytes = new DataView(snapshot.buffer, snapshot.byteOffset).getUint32(4, true);
  const header = snapshot.subarray(0, headerBytes);
  const memory = snapshot.subarray(headerBytes);
  const startBytes = start.findLastIndex((byte) => byte !== 0) + 1;
  const lines = [];
  const gaps = [];
  let last = 0;
  for (let at = 0; at < memory.length; at += LINE) {
    const line = memory.subarray(at, at + LINE);
    if (line.every((byte, i) => byte === (start[at + i] ?? 0))) continue;
    lines.push(line);
    gaps.push(at / LINE - last);
    last = at / LINE;
  }
  const sizes = Uint32Array.of(headerBytes, memory.length, startBytes, lines.length);
  return Buffer.concat([sizes, Uint32Array.from(gaps)].map(bytes).toSpliced(1, 0, header).concat(lines));
}

/** @param {Uint32Array} words */
function bytes(words) {
  return new Uint8Array(words.buffer);
}

const folder = await mkdtemp(join(tmpdir(), 'pesoleve-'));
try {
  const snapshot = await takeSnapshot(await archive(folder));
  await writeFile(output, difference(snapshot, await beginning(snapshot)));
} finally {
  await rm(folder, { recursive: true });
}
