"""A graph whose multiplications are of 8-bit integers, by ONNX Runtime's own quantizer; the scale of
the activations is measured at each run."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import onnx


def to_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` (fp32) with integer multiplications, a scale for each output of a matrix."""
    from onnxruntime import quantization

    logging.getLogger().setLevel(logging.ERROR)  # it advises preprocessing, which the graph has had
    with tempfile.TemporaryDirectory() as temporary:
        before, after = Path(temporary) / "before.onnx", Path(temporary) / "after.onnx"
        onnx.save(model, before)
        quantization.quantize_dynamic(
            before,
            after,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return onnx.load(after)
