"""A transformers model to ONNX, through optimum."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx

from .storage import save

ONNX_TASK = {"feature_extraction": "feature-extraction"}
"""Optimum's name of each of our tasks."""


def export_onnx(model_directory: Path, task: str, opset: int, output: Path) -> None:
    """Write ``model_directory``'s model as ``output/model.onnx`` with its weights beside it.

    Inputs are (batch, sequence) with both free. The opset is then raised to 21, the first that has
    4-bit integers and block-wise ``DequantizeLinear``; PyTorch's exporter stops at 20.
    """
    from optimum.exporters.onnx import main_export
    from transformers.utils import logging

    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main_export(
            str(model_directory),
            output=temporary,
            task=ONNX_TASK[task],
            opset=opset,
            library_name="transformers",
            do_validation=False,  # every dtype is compared with transformers later, on real text
        )
        model = onnx.load(Path(temporary) / "model.onnx")
    save(onnx.version_converter.convert_version(model, 21), output)
