// node python_archive.mjs PYODIDE WORKER SLIM OUTPUT: run python_archive.py in Pyodide, and write what it makes.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [pyodideFolder, workerFolder, slimFolder, output] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(pyodideFolder, 'pyodide.mjs')).href);
const program = await readFile(new URL('python_archive.py', import.meta.url), 'utf8');

const folder = await mkdtemp(join(tmpdir(), 'pesoleve-'));
try {
  const library = join(folder, 'library.zip');
  const whole = await loadPyodide({ indexURL: pyodideFolder });
  whole.mountNodeFS('/slim', slimFolder);
  whole.runPython(program);
  await writeFile(library, whole.globals.get('slim_library')('/slim').toJs());
  // What is needed shows in a Python that has the slim modules.
  const slim = await loadPyodide({ indexURL: pyodideFolder, stdLibURL: library });
  slim.mountNodeFS('/worker', workerFolder);
  slim.runPython(program);
  const modules = slim.globals.get('ready')('/worker');
  await writeFile(output, slim.globals.get('archive')('/worker', modules).toJs());
} finally {
  await rm(folder, { recursive: true });
}
