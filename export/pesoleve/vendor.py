"""Everything of others' that the page needs, from pinned packages into ``site/vendor/``: npm's files by
the committed lock file, and the worker package with the standard library's modules it needs, compiled.

Run as ``python -m pesoleve.vendor`` from the repository; does nothing when nothing changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import brotli
from rich.console import Console

from . import published, site_files
from .errors import SourceError

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "node_modules"
WORKER = ROOT / "python_worker"
SLIM = Path(__file__).with_name("python_slim")
VENDOR = ROOT / "site" / "vendor"
MANIFEST = "manifest.json"

COPIES: dict[str, tuple[str, ...]] = {
    "pyodide": ("pyodide/pyodide.mjs", "pyodide/pyodide.asm.mjs", "pyodide/pyodide.asm.wasm"),
    "onnxruntime": tuple(
        f"onnxruntime-web/dist/{name}"
        for name in (
            "ort.wasm.min.mjs",
            "ort-wasm-simd-threaded.mjs",
            "ort-wasm-simd-threaded.wasm",
            "ort.jspi.min.mjs",
            "ort-wasm-simd-threaded.jspi.mjs",
            "ort-wasm-simd-threaded.jspi.wasm",
            "ort.webgpu.min.mjs",
            "ort-wasm-simd-threaded.asyncify.mjs",
            "ort-wasm-simd-threaded.asyncify.wasm",
        )
    ),
    "tokenizers": ("@huggingface/tokenizers/dist/tokenizers.min.mjs",),
    "archivo": ("@fontsource-variable/archivo/files/archivo-latin-wght-normal.woff2",),
}
"""Folder in ``site/vendor/`` ─► files in ``node_modules/``."""

KERNELS = ROOT / "site" / "worker"
ASSEMBLED = ("probe", "dequantize")
"""``site/worker/NAME.wat`` ─► ``site/vendor/NAME/NAME.wasm``."""

BUNDLES = {
    "lit/index.js": "lit/lit.js",
    "@huggingface/jinja/dist/index.js": "jinja/jinja.js",
    "hash-wasm/dist/sha256.umd.min.js": "hash/sha256.js",
}
"""Packages made one minified module each: lit is many modules that import each other by bare names, and
hash-wasm's SHA-256 alone is none."""

TYPES: dict[str, str] = {
    "zstd/zstddec.d.ts": "export * from 'zstddec/stream';\n",
    "hash/sha256.d.ts": "import * as hashes from 'hash-wasm';\nexport default hashes;\n",
    "jinja/jinja.d.ts": "export * from '@huggingface/jinja';\n",
    "lit/lit.d.ts": "export * from 'lit';\n",
    "onnxruntime/ort.wasm.min.d.mts": "export * from 'onnxruntime-web/wasm';\n",
    "onnxruntime/ort.jspi.min.d.mts": "export * from 'onnxruntime-web';\n",
    "onnxruntime/ort.webgpu.min.d.mts": "export * from 'onnxruntime-web';\n",
    "onnxruntime/ort-wasm-simd-threaded.d.mts": (
        "declare const create: (options: object) => Promise<any>;\nexport default create;\n"
    ),
    "pyodide/pyodide.asm.d.mts": (
        "declare const create: (settings: object) => Promise<any>;\nexport default create;\n"
    ),
    "pyodide/pyodide.d.mts": "export * from 'pyodide';\n",
    "tokenizers/tokenizers.min.d.mts": "export * from '@huggingface/tokenizers';\n",
}
"""Declarations that lead TypeScript from a vendored file back to its package."""

COMPRESSED = {".mjs", ".js", ".wasm", ".json", ".snapshot"}
LICENSED = (
    "pyodide",
    "onnxruntime-web",
    "@huggingface/jinja",
    "@huggingface/tokenizers",
    "hash-wasm",
    "zstddec",
    "lit",
    "@fontsource-variable/archivo",
)


def vendor(target: Path = VENDOR, console: Console | None = None) -> bool:
    """Fill ``target`` and list the site's files in it; return False when it was filled already.

    Raises:
        SourceError: when the npm packages are not installed.
    """
    filled = _fill(target, console or Console(stderr=True))
    site_files.write(target.parent)
    return filled


def _fill(target: Path, console: Console) -> bool:
    stamp = _stamp()
    stamp_file = target / ".stamp"
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        console.print("Vendored files are up to date.")
        return False
    partial = target.with_name(f".{target.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder, sources in COPIES.items():
        (partial / folder).mkdir(parents=True)
        for source in sources:
            _copy(NODE_MODULES / source, partial / folder)
    for source, output in BUNDLES.items():
        _bundle(NODE_MODULES / source, partial / output)
    _extract_zstd(NODE_MODULES / "zstddec" / "dist" / "zstddec-stream.mjs", partial / "zstd")
    for name in ASSEMBLED:
        _assemble(name, partial / name)
    console.print("Compiling the Python that the page runs")
    _snapshot_python(partial / "pyodide" / "python.snapshot")
    # Pyodide fetches its library before it looks whether a snapshot makes it needless.
    zipfile.ZipFile(partial / "pyodide" / "python_stdlib.zip", "w").close()
    _list_no_packages(partial / "pyodide")
    _copy_licenses(partial / "licenses")
    for name, text in TYPES.items():
        (partial / name).write_text(text)
    (partial / "published.json").write_text(json.dumps(published.weigh_published()))
    console.print("Compressing the runtimes with brotli (once; about a minute)")
    sizes = _compress(partial, target)
    (partial / MANIFEST).write_text(json.dumps({"files": sizes}, indent=1, sort_keys=True))
    (partial / ".stamp").write_text(stamp)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    total = sum(size["bytes"] for size in sizes.values())
    console.print(f"Vendored {len(sizes)} files, {total / 1e6:.1f} MB compressed.", highlight=False)
    return True


def _stamp() -> str:
    """A digest of all that the vendored files are made from."""
    digest = hashlib.sha256()
    here = Path(__file__)
    inputs = [ROOT / "package-lock.json", here, *sorted(here.parent.glob("python_*.*"))]
    inputs += [KERNELS / f"{name}.wat" for name in ASSEMBLED]
    inputs += sorted(published.FOLDER.glob("*.json"))
    inputs += sorted([*(WORKER / "pesoleve_worker").rglob("*.py"), *SLIM.rglob("*.py")])
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _copy(source: Path, folder: Path) -> None:
    if not source.exists():
        raise SourceError(f"{source.relative_to(ROOT)} is missing. Run: make setup")
    shutil.copyfile(source, folder / source.name)


def _assemble(name: str, folder: Path) -> None:
    folder.mkdir()
    source, output = KERNELS / f"{name}.wat", folder / f"{name}.wasm"
    _run(str(NODE_MODULES / ".bin" / "wat2wasm"), "--enable-threads", str(source), f"--output={output}")


def _bundle(source: Path, output: Path) -> None:
    _run(
        str(NODE_MODULES / ".bin" / "esbuild"),
        str(source),
        "--bundle",
        "--format=esm",
        "--minify",
        f"--outfile={output}",
        "--log-level=error",
    )


def _extract_zstd(source: Path, folder: Path) -> None:
    """Write zstddec's WebAssembly beside it: it fetches itself from a ``data:`` URL, which a strict CSP
    refuses, and which costs a third more bytes.

    Raises:
        SourceError: when the package is not written as it was.
    """
    text = source.read_text(encoding="utf-8")
    inside = re.search(r"fetch\(`data:application/wasm;base64,\$\{(\w+)\}`\)", text)
    binary = re.search(r"[\"'`](AGFzb[A-Za-z0-9+/=]{1000,})[\"'`]", text)
    if inside is None or binary is None:
        raise SourceError(f"{source} does not hold its WebAssembly where it was; see _extract_zstd")
    text = text.replace(inside[0], "fetch(new URL('zstddec.wasm', import.meta.url))")
    folder.mkdir(parents=True)
    (folder / "zstddec.js").write_text(text.replace(binary[1], ""), encoding="utf-8")
    (folder / "zstddec.wasm").write_bytes(base64.b64decode(binary[1]))


def _snapshot_python(output: Path) -> None:
    """Write the memory of a Python that has imported the worker: see ``python_snapshot.mjs``."""
    script = Path(__file__).with_name("python_snapshot.mjs")
    folders = (NODE_MODULES / "pyodide", WORKER, SLIM)
    _run("node", str(script), *map(str, folders), str(output))


def _list_no_packages(folder: Path) -> None:
    """Write Pyodide's lock file without its packages, which would come from its own site."""
    lock = json.loads((NODE_MODULES / "pyodide" / "pyodide-lock.json").read_text())
    (folder / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": {}}, sort_keys=True))


def _copy_licenses(folder: Path) -> None:
    folder.mkdir()
    for package in LICENSED:
        for source in sorted((NODE_MODULES / package).glob("LICEN[SC]E*")):
            shutil.copyfile(source, folder / f"{package.replace('/', '-').lstrip('@')}.txt")


def _compress(folder: Path, earlier: Path) -> dict[str, dict[str, int]]:
    """Put a ``.br`` beside each compressible file; return every file's bytes on the wire.

    A file that ``earlier`` holds unchanged lends its ``.br``: the largest take half a minute each.
    """

    def size(path: Path) -> tuple[str, dict[str, int]]:
        content = path.read_bytes()
        wire = len(content)
        if path.suffix in COMPRESSED:
            before = earlier / path.relative_to(folder)
            ready = before.with_name(f"{before.name}.br")
            if ready.exists() and before.read_bytes() == content:
                compressed = ready.read_bytes()
            else:
                compressed = brotli.compress(content, quality=11, lgwin=24)
            path.with_name(f"{path.name}.br").write_bytes(compressed)
            wire = len(compressed)
        name = path.relative_to(folder).as_posix()
        return name, {"bytes": wire, "decoded_bytes": len(content)}

    paths = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith((".ts", ".mts"))]
    largest_first = sorted(paths, key=lambda p: -p.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(size, largest_first))


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    vendor()
