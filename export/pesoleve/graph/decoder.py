"""A decoder's graph: onnxruntime-genai's builder, then a head that never lets the logits out.

    input_ids ─► embedding ─► layers (GroupQueryAttention, rotary inside, fused norms) ─► hidden_states
                                     ▲ │
              past_key_values.N.key  ┘ └► present.N.key …
    hidden_states ─► Gather(logits_to_keep) ─► MatMul(embeddingᵀ) ─► TopK(top_k) ─► top_values, top_ids
                                                        └─► ReduceLogSumExp ─► log_normalizer

Why the builder and not optimum plus fusion: it writes the fused operators directly, in a second and for
Llama and Gemma 3 alike, under names that tell what each weight is; optimum's export has to be traced
with example inputs and its attention recognized again, mask by mask. The builder is told to leave its
head out, because its own returns 49,152 logits a token; ``logits_to_keep`` is transformers' name for
the positions to answer for.

``layouts`` says what becomes of the weights on each device.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..torch_kernels import resolve_kernels
from .storage import GRAPH

HIDDEN = "hidden_states"
TABLE = "model.embed_tokens.weight"
HEAD = "lm_head.MatMul.weight"
ROTARY = ("cos_cache", "sin_cache")
EMBEDDING_SCALE = "/model/embed_tokens/Mul"
FAMILIES = ("llama", "gemma3_text")
"""transformers' ``model_type`` of the decoders whose graphs are tested here."""


@contextlib.contextmanager
def _genai_builder() -> Iterator[None]:
    """Its modules import each other as if they were scripts; and they print and draw bars."""
    import onnxruntime_genai
    import tqdm

    folder = str(Path(onnxruntime_genai.__file__).parent / "models")
    sys.path.insert(0, folder)
    quiet = tqdm.tqdm.__init__

    def silent(self: tqdm.tqdm, *args: object, **kwargs: object) -> None:
        quiet(self, *args, **{**kwargs, "disable": True})

    tqdm.tqdm.__init__ = silent
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm.tqdm.__init__ = quiet
        sys.path.remove(folder)


def build_decoder(
    model_directory: Path, layers: int | None = None, context: int | None = None
) -> onnx.ModelProto:
    """Return the fp32 graph of the model in ``model_directory``, with our head, weights inside; with
    ``layers``, of its first so many alone; with ``context``, for that many tokens at most.

    Inputs: input_ids int64 (1, T), attention_mask int64 (1, past + T), logits_to_keep int64 (n,),
    top_k int64 (1,), past_key_values.N.key and .value float32 (1, kv_heads, past, head_dim).
    Outputs: top_values float32 and top_ids int64 (1, n, top_k), log_normalizer float32 (1, n, 1), and
    present.N.key and .value, with the new tokens appended.
    """
    from transformers import AutoConfig

    resolve_kernels()
    with tempfile.TemporaryDirectory() as temporary:
        with _genai_builder():
            from onnxruntime_genai.models.builder import create_model

            cut = {} if layers is None else {"num_hidden_layers": layers}
            create_model(
                "", str(model_directory), temporary, "fp32", "cpu", temporary,
                exclude_lm_head=True, **cut,
            )  # fmt: skip
        model = onnx.load(Path(temporary) / GRAPH)
    config = AutoConfig.from_pretrained(model_directory).to_dict()
    _rotary_from_formula(model, config, context)
    _exact_embedding_scale(model, config["hidden_size"])
    _add_head(model, None if config["tie_word_embeddings"] else _untied_head(model_directory))
    return model


def _untied_head(model_directory: Path) -> np.ndarray:
    from safetensors import safe_open

    for path in sorted(model_directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            if "lm_head.weight" in tensors.keys():  # noqa: SIM118  safe_open is no mapping
                weight: np.ndarray = tensors.get_tensor("lm_head.weight").float().numpy()
                return np.ascontiguousarray(weight)
    raise ValueError("the model's embeddings are not tied, and it has no lm_head.weight")


def _add_head(model: onnx.ModelProto, untied: np.ndarray | None) -> None:
    """Append the head; weights of ``MatMul`` become (N, K), so that a tied table serves twice."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in tensors:
            tensor = tensors[node.input[1]]
            rows = np.ascontiguousarray(numpy_helper.to_array(tensor).T)
            tensor.CopyFrom(numpy_helper.from_array(rows, tensor.name))
            _transpose_weight(node)
    head = TABLE
    if untied is not None:
        head = HEAD
        graph.initializer.append(numpy_helper.from_array(untied, HEAD))
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "last_axis"))
    vocabulary = next(tensor.dims[0] for tensor in graph.initializer if tensor.name == head)
    graph.initializer.append(numpy_helper.from_array(np.array([vocabulary], np.int64), "vocabulary"))
    head_node = helper.make_node("MatMul", ["kept_states", head], ["logits"], "/lm_head/MatMul")
    _transpose_weight(head_node)
    graph.node.extend(
        [
            helper.make_node(
                "Gather", [HIDDEN, "logits_to_keep"], ["kept_states"], "/lm_head/Gather", axis=1
            ),
            head_node,
            helper.make_node("Min", ["top_k", "vocabulary"], ["top"], "/lm_head/Min"),
            helper.make_node("TopK", ["logits", "top"], ["top_values", "top_ids"], "/lm_head/TopK"),
            helper.make_node(
                "ReduceLogSumExp",
                ["logits", "last_axis"],
                ["log_normalizer"],
                "/lm_head/LogSumExp",
                keepdims=1,
            ),
        ]
    )
    for name in ("logits_to_keep", "top_k"):
        shape = ["kept"] if name == "logits_to_keep" else [1]
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, shape))
    kept = [value for value in graph.output if value.name != HIDDEN]
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("top_values", TensorProto.FLOAT, [1, "kept", "k"]),
            helper.make_tensor_value_info("top_ids", TensorProto.INT64, [1, "kept", "k"]),
            helper.make_tensor_value_info("log_normalizer", TensorProto.FLOAT, [1, "kept", 1]),
            *kept,
        ]
    )


def _transpose_weight(node: onnx.NodeProto) -> None:
    node.op_type, node.domain = "FusedMatMul", "com.microsoft"
    node.attribute.append(helper.make_attribute("transB", 1))


def _exact_embedding_scale(model: onnx.ModelProto, hidden: int) -> None:
    """Gemma multiplies its embeddings by √hidden; the builder has that to two decimals only."""
    graph = model.graph
    for node in graph.node:
        if node.op_type == "Mul" and node.name == EMBEDDING_SCALE:
            node.input[1] = f"{EMBEDDING_SCALE}/root"
            root = np.array(hidden**0.5, np.float32)
            graph.initializer.append(numpy_helper.from_array(root, node.input[1]))


def _rotary_from_formula(
    model: onnx.ModelProto, config: Mapping[str, Any], context: int | None
) -> None:
    """Replace each table of cosines and sines by the nodes that compute it when the session starts, for
    the first ``context`` positions.

    A table of 8,192 positions is 2 MB that would travel. One that does not follow the plain formula of
    https://arxiv.org/abs/2104.09864 with one of the configuration's bases stays as it is.
    """
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for tensor in [tensor for tensor in graph.initializer if tensor.name.startswith(ROTARY)]:
        name, table = tensor.name, numpy_helper.to_array(tensor)
        kind = "Cos" if name.startswith("cos") else "Sin"
        steps = _angle_steps(table, np.cos if kind == "Cos" else np.sin, config)
        if steps is None:
            continue
        graph.initializer.remove(tensor)
        for declared in [value for value in graph.value_info if value.name == name]:
            graph.value_info.remove(declared)  # of every position
        for label, value in (
            ("zero", np.array(0, np.float32)),
            ("end", np.array(min(len(table), context or len(table)), np.float32)),
            ("one", np.array(1, np.float32)),
            ("column", np.array([1], np.int64)),
            ("steps", steps),
        ):
            graph.initializer.append(numpy_helper.from_array(value, f"{name}/{label}"))
        for op, inputs, output in (
            ("Range", ["zero", "end", "one"], "positions"),
            ("Unsqueeze", ["positions", "column"], "rows"),
            ("Mul", ["rows", "steps"], "angles"),
        ):
            full = [f"{name}/{part}" for part in inputs]
            nodes.append(helper.make_node(op, full, [f"{name}/{output}"], f"{name}/{op}"))
        nodes.append(helper.make_node(kind, [f"{name}/angles"], [name], f"{name}/{kind}"))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _angle_steps(table: np.ndarray, function: np.ufunc, config: Mapping[str, Any]) -> np.ndarray | None:
    """θ^(-2i/d) for the base θ that reproduces ``table``, float32, shape (d / 2,), or None."""
    positions, half = table.shape
    powers = np.arange(0, 2 * half, 2, dtype=np.float32) / np.float32(2 * half)
    for key in ("rope_theta", "rope_local_base_freq"):
        if config.get(key) is None:
            continue
        steps = (1 / np.float32(config[key]) ** powers).astype(np.float32)
        angles = np.arange(positions, dtype=np.float32)[:, None] * steps
        # An ulp of the step is that much of an angle at the last position.
        if np.abs(function(angles) - table).max() <= positions * 2.0**-22:
            return steps
    return None
