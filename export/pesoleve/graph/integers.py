"""A graph whose multiplications are of 8-bit integers, by ONNX Runtime's own quantizer. The scales of
the activations are measured at each run (dynamic), or once, on texts given for it (static).

ONNX Runtime's static quantizer is not used: what it writes (QuantizeLinear and DequantizeLinear around
every MatMul) its own optimizer makes MatMulNBits of, which multiplies floats. So the dynamic graph is
made static: it computes the same, with constants where it had measured.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Feeds = Mapping[str, npt.NDArray[Any]]

LEVELS = 255
"""Between the least and the most that uint8 holds."""


def to_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` (fp32) with integer multiplications, a scale for each output of a matrix.

    Weights take 7 of the 8 bits: x86 without VNNI adds pairs of products in 16 bits, which saturate
    with all 8, so that the same file would answer differently on different machines.
    """
    from onnxruntime import quantization

    logging.getLogger().setLevel(logging.ERROR)  # it advises preprocessing, which the graph has had
    with tempfile.TemporaryDirectory() as temporary:
        before, after = Path(temporary) / "before.onnx", Path(temporary) / "after.onnx"
        onnx.save(model, before)
        quantization.quantize_dynamic(
            before,
            after,
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return onnx.load(after)


def make_static(model: onnx.ModelProto, calibration: Iterable[Feeds]) -> onnx.ModelProto:
    """Return ``model``, as ``to_integers`` made it, with constants for the scales of its activations:
    those of the widest range that each has on the feeds of ``calibration``."""
    measured = [node for node in model.graph.node if node.op_type == "DynamicQuantizeLinear"]
    ranges = _ranges(model, [node.input[0] for node in measured], calibration)
    static = onnx.ModelProto()
    static.CopyFrom(model)
    for node in static.graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            values, (quantized, scale, zero_point) = node.input[0], node.output
            least, most = ranges[values]
            step = (most - least) / LEVELS or 1.0
            static.graph.initializer.extend(
                [
                    numpy_helper.from_array(np.float32(step), scale),
                    numpy_helper.from_array(np.uint8(round(-least / step)), zero_point),
                ]
            )
            node.CopyFrom(helper.make_node("QuantizeLinear", [values, scale, zero_point], [quantized]))
    return static


def _ranges(
    model: onnx.ModelProto, names: list[str], calibration: Iterable[Feeds]
) -> dict[str, tuple[float, float]]:
    """Of each tensor the least and the most, 0 between them as DynamicQuantizeLinear has it."""
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    for name in names:
        watched.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(watched.SerializeToString())
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for feeds in calibration:
        for name, values in zip(names, session.run(names, dict(feeds)), strict=True):
            least, most = ranges[name]
            ranges[name] = min(least, float(values.min())), max(most, float(values.max()))
    return ranges
