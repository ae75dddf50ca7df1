// node python_archive.mjs PYODIDE WORKER OUTPUT: run python_archive.py in Pyodide, and write what it makes.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [pyodideFolder, workerFolder, output] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(pyodideFolder, 'pyodide.mjs')).href);
const pyodide = await loadPyodide({ indexURL: pyodideFolder });
pyodide.mountNodeFS('/worker', workerFolder);
pyodide.runPython(await readFile(new URL('python_archive.py', import.meta.url), 'utf8'));
await writeFile(output, pyodide.globals.get('archive')('/worker').toJs());
