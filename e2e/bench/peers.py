"""The same model as its peers have it: optimum's ONNX in the Hugging Face layout, in fp32 and q8."""

from __future__ import annotations

import shutil
from pathlib import Path

import brotli
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export

from pesoleve.recipe import load_recipe
from pesoleve.sources import resolve

MODEL = "all-MiniLM-L6-v2"
NODE_MODULES = Path(__file__).parent / "node_modules"
RUNTIME = NODE_MODULES / "onnxruntime-web" / "dist"


def compress_peer_runtime() -> None:
    """Put a ``.br`` beside the peer's WebAssembly, so that its bytes are counted as ours are."""
    for path in sorted(RUNTIME.glob("ort-wasm-simd-threaded*.wasm")):
        compressed = path.with_name(f"{path.name}.br")
        if not compressed.exists():
            compressed.write_bytes(brotli.compress(path.read_bytes(), quality=11, lgwin=24))


def build_peer_model(root: Path) -> Path:
    """Write it below ``root`` as Transformers.js reads it, if it is not there; return ``root``."""
    folder = root / MODEL
    if (folder / "onnx" / "model_quantized.onnx").exists():
        return root
    shutil.rmtree(folder, ignore_errors=True)
    source = resolve(load_recipe("minilm-l6").source)
    main_export(
        str(source.directory), output=folder, task="feature-extraction", library_name="transformers"
    )
    (folder / "onnx").mkdir()
    plain = folder / "onnx" / "model.onnx"
    (folder / "model.onnx").rename(plain)
    # As Transformers.js's own conversion script does for its q8 files.
    quantize_dynamic(plain, folder / "onnx" / "model_quantized.onnx", weight_type=QuantType.QInt8)
    return root
