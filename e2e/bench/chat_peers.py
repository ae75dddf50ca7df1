"""SmolLM2 as its peers have it: the GGUF itself, and optimum's ONNX in Transformers.js's q8 and q4."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import QuantType, matmul_nbits_quantizer, quantize_dynamic
from optimum.exporters.onnx import main_export

from pesoleve.measure.perplexity import Floats, Logits
from pesoleve.sources.gguf_file import GgufFile

MODEL = "SmolLM2-135M-Instruct"
DTYPES = {"q8": "model_quantized.onnx", "q4": "model_q4.onnx"}


def build_peer_model(gguf: Path, root: Path) -> Path:
    """Write the model below ``root`` as Transformers.js and wllama read it, if it is not there."""
    folder = root / MODEL
    if (folder / "onnx" / DTYPES["q4"]).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "onnx").mkdir(parents=True)
    source = folder / "source"
    source.mkdir()
    GgufFile(gguf).write_directory(source)
    shutil.copyfile(gguf, folder / "model.gguf")
    main_export(
        str(source),
        output=folder / "export",
        task="text-generation-with-past",
        library_name="transformers",
        do_validation=False,
    )
    plain = folder / "export" / "model.onnx"
    # As Transformers.js's own conversion script quantizes: per tensor, and 4 bits in blocks of 32.
    quantize_dynamic(
        plain,
        folder / "onnx" / DTYPES["q8"],
        weight_type=QuantType.QInt8,
        extra_options={"EnableSubgraph": True, "DefaultTensorType": 1},
    )
    quantizer = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        str(plain), block_size=32, is_symmetric=True
    )
    quantizer.process()
    quantizer.model.save_model_to_file(
        str(folder / "onnx" / DTYPES["q4"]), use_external_data_format=False
    )
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "pad_token_id": 2}))
    shutil.rmtree(folder / "export")
    return folder


def peer_logits(path: Path) -> Logits:
    """Return a function from ids to the peer's own logits, on the CPU."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    past = {
        value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
        for value in session.get_inputs()
        if value.name.startswith("past_key_values")
    }
    names = {value.name for value in session.get_inputs()}

    def logits(ids: list[int]) -> Floats:
        feeds = {
            "input_ids": np.asarray([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "position_ids": np.arange(len(ids), dtype=np.int64)[None],
            **past,
        }
        answer: Floats = session.run(["logits"], {n: v for n, v in feeds.items() if n in names})[0][0]
        return answer

    return logits
