"""Fuse an encoder's graph with ONNX Runtime's transformer optimizer.

    Q, K, V MatMul + Add + Reshape + Transpose + Softmax + …  ─► Attention
    Add + LayerNormalization                                  ─► SkipLayerNormalization
    MatMul + Add + Gelu                                       ─► MatMul + BiasGelu

The embedding lookup stays a plain Gather: fused, its table could not travel as integers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

MODEL_TYPE = {"bert": "bert", "roberta": "bert", "distilbert": "bert", "xlm-roberta": "bert"}
"""ONNX Runtime's name for the graph of each transformers ``model_type``."""


def fuse(model_path: Path, family: str, heads: int, hidden: int) -> onnx.ModelProto:
    """Return the model at ``model_path`` fused for ``family`` (transformers' ``model_type``).

    A family the optimizer does not know is returned as it is.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    if family not in MODEL_TYPE:
        return onnx.load(model_path)
    options = FusionOptions(MODEL_TYPE[family])
    options.enable_embed_layer_norm = False
    optimized = optimize_model(
        str(model_path),
        model_type=MODEL_TYPE[family],
        num_heads=heads,
        hidden_size=hidden,
        optimization_options=options,
        opt_level=0,
    )
    with tempfile.TemporaryDirectory() as temporary:  # the optimizer returns its own wrapper
        fused = Path(temporary) / "fused.onnx"
        optimized.save_model_to_file(str(fused))
        return onnx.load(fused)
