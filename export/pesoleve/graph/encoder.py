"""A reduced encoder's graph, written as ONNX Runtime's optimizer would fuse it.

    input_ids ─► Gather ─► + positions ─► LayerNormalization ─┐
    attention_mask ─────────────────────────────────────────┬─┴─► Attention ─► MatMul ─► SkipLayer…
        each layer: … ─► MatMul ─► BiasGelu ─► MatMul ─► SkipLayerNormalization
    … ─► mean over the unmasked tokens ─► MatMul ─► + ─► Softmax ─► probabilities (batch, labels)

Written here and not exported, because layers of unequal widths are in no class of transformers, and
because a layer that is used several times should stand once in the file: exporters copy it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..encoder_shape import EncoderShape
from .classify import add_head

OPSET = 21
HIDDEN = "hidden"
Array = npt.NDArray[np.float32]


def encoder_graph(shape: EncoderShape, state: Mapping[str, Array]) -> onnx.ModelProto:
    """Return the graph of the encoder of ``shape`` that holds ``state`` (``reduce/encoder.py``).

    Inputs: ``input_ids`` and ``attention_mask``, int64 (batch, sequence). Output: ``probabilities``,
    float32 (batch, labels).
    """
    writer = _Writer()
    writer.embed(shape, state)
    for place, layer in enumerate(shape.layers):
        writer.layer(place, layer, shape, state)
    batch_by_sequence = ["batch", "sequence"]
    graph = helper.make_graph(
        writer.nodes,
        "encoder",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, batch_by_sequence)
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(
                writer.hidden, TensorProto.FLOAT, [*batch_by_sequence, shape.hidden]
            )
        ],
        list(writer.tensors.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return add_head(model, state["classifier.weight"].T, state["classifier.bias"])


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, onnx.TensorProto] = {}
        self.hidden = ""

    def tensor(self, name: str, value: npt.NDArray[Any]) -> str:
        """Name a weight; one that is there already stands once."""
        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(
            helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def embed(self, shape: EncoderShape, state: Mapping[str, Array]) -> None:
        prefix = "embeddings."
        table = f"{prefix}word_embeddings.weight"
        words = self.node("Gather", [self.tensor(table, state[table]), "input_ids"], "words")
        length = self.node("Shape", ["input_ids"], "length", start=1, end=2)
        positions = f"{prefix}position_embeddings.weight"
        own = self.node(
            "Slice",
            [
                self.tensor(positions, state[positions]),
                self.tensor("first", np.array([0], np.int64)),
                length,
                self.tensor("rows", np.array([0], np.int64)),
            ],
            "positions",
        )
        placed = self.node("Add", [words, own], "placed")
        norm = [f"{prefix}LayerNorm.weight", f"{prefix}LayerNorm.bias"]
        self.hidden = self.node(
            "LayerNormalization",
            [placed, *(self.tensor(name, state[name]) for name in norm)],
            "embedded",
            axis=-1,
            epsilon=shape.epsilon,
        )
        wide = self.node("Cast", ["attention_mask"], "mask_int32", to=TensorProto.INT32)
        axes = self.tensor("mask_axes", np.array([1], np.int64))
        self.node("ReduceSum", [wide, axes], "mask_lengths", keepdims=0)

    def layer(self, place: int, layer: int, shape: EncoderShape, state: Mapping[str, Array]) -> None:
        prefix = f"encoder.layer.{layer}."
        parts = [f"{prefix}attention.self.{name}" for name in ("query", "key", "value")]
        packed = np.concatenate([state[f"{part}.weight"].T for part in parts], axis=1)
        biases = np.concatenate([state[f"{part}.bias"] for part in parts])
        heads = shape.heads[layer]
        width = heads * shape.head_size
        sizes = {} if width == shape.hidden else {"qkv_hidden_sizes": [width] * 3}
        mixed = self.node(
            "Attention",
            [
                self.hidden,
                self.tensor(f"{prefix}attention.qkv.weight", packed),
                self.tensor(f"{prefix}attention.qkv.bias", biases),
                "mask_lengths",
            ],
            f"layer{place}/attention",
            domain="com.microsoft",
            num_heads=heads,
            **sizes,
        )
        attended = self._output(
            f"layer{place}/attended", f"{prefix}attention.output.", mixed, shape, state
        )
        up = f"{prefix}intermediate.dense"
        raised = self.node(
            "MatMul",
            [attended, self.tensor(f"{up}.weight", state[f"{up}.weight"].T)],
            f"layer{place}/raised",
        )
        active = self.node(
            "BiasGelu",
            [raised, self.tensor(f"{up}.bias", state[f"{up}.bias"])],
            f"layer{place}/active",
            domain="com.microsoft",
        )
        self.hidden = attended
        self.hidden = self._output(f"layer{place}/output", f"{prefix}output.", active, shape, state)

    def _output(
        self, name: str, prefix: str, values: str, shape: EncoderShape, state: Mapping[str, Array]
    ) -> str:
        """Project ``values`` back, add the layer's input, and normalize."""
        dense = f"{prefix}dense"
        lowered = self.node(
            "MatMul",
            [values, self.tensor(f"{dense}.weight", state[f"{dense}.weight"].T)],
            f"{name}/lowered",
        )
        others = [f"{prefix}LayerNorm.weight", f"{prefix}LayerNorm.bias", f"{dense}.bias"]
        return self.node(
            "SkipLayerNormalization",
            [lowered, self.hidden, *(self.tensor(other, state[other]) for other in others)],
            name,
            domain="com.microsoft",
            epsilon=shape.epsilon,
        )
