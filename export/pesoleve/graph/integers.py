"""A graph whose multiplications are of 8-bit integers, by ONNX Runtime's own quantizer: the scale of
the activations is measured at each run (dynamic), or once, on texts of the task (static)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tokenizers import Tokenizer

CALIBRATION_TEXTS = 128
BATCH = 8


def to_integers(
    model: onnx.ModelProto, compute: str, texts: Sequence[str], tokenizer: Path, max_length: int
) -> onnx.ModelProto:
    """Return ``model`` (fp32) with integer multiplications.

    Args:
        compute: ``dynamic`` or ``static``.
        texts: the first ``CALIBRATION_TEXTS`` calibrate a static one.
    """
    from onnxruntime import quantization

    logging.getLogger().setLevel(logging.ERROR)  # it advises preprocessing, which the graph has had
    with tempfile.TemporaryDirectory() as temporary:
        before, after = Path(temporary) / "before.onnx", Path(temporary) / "after.onnx"
        onnx.save(model, before)
        options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        if compute == "dynamic":
            quantization.quantize_dynamic(
                before,
                after,
                per_channel=True,
                weight_type=quantization.QuantType.QInt8,
                extra_options=options,
            )
        else:
            quantization.quantize_static(
                before,
                after,
                _Texts(texts[:CALIBRATION_TEXTS], tokenizer, max_length),
                quant_format=quantization.QuantFormat.QOperator,
                op_types_to_quantize=["MatMul", "Attention", "Gather"],
                per_channel=False,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options=options,
            )
        return onnx.load(after)


class _Texts:
    """What ONNX Runtime's calibration reads: the inputs of one batch after another, then None."""

    def __init__(self, texts: Sequence[str], path: Path, max_length: int) -> None:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.enable_truncation(max_length)
        tokenizer.enable_padding()
        self._batches: Iterator[dict[str, Any]] = iter(
            [
                {
                    "input_ids": np.array([e.ids for e in encoded], np.int64),
                    "attention_mask": np.array([e.attention_mask for e in encoded], np.int64),
                }
                for start in range(0, len(texts), BATCH)
                for encoded in [tokenizer.encode_batch(list(texts[start : start + BATCH]))]
            ]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)
