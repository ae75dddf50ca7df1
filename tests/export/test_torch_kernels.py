from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.overrides import TorchFunctionMode

from pesoleve.graph import decoder
from pesoleve.measure.perplexity import reference_logits
from pesoleve.measure.reference import reference_vectors
from pesoleve.torch_kernels import VECTOR_MATH, resolve_kernels


class FirstCalls(TorchFunctionMode):  # type: ignore[misc]  # PyTorch brings no types of it
    """How many numbers each function was given when it was first called."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in VECTOR_MATH:
            self.sizes.setdefault(name, args[0].numel())
        return func(*args, **(kwargs or {}))


def embed(directory: Path) -> None:
    reference_vectors(directory, ["a feather"], 8, "mean", True)


@pytest.mark.parametrize(
    ("model", "compute"),
    [
        ("tiny_llama", decoder.build_decoder),
        ("tiny_llama", lambda directory: reference_logits(directory)([1, 2])),
        ("tiny_model", embed),
    ],
    ids=["build_decoder", "reference_logits", "reference_vectors"],
)
def test_no_functions_first_call_is_one_that_threads_share(
    model: str, compute: Callable[[Path], Any], request: pytest.FixtureRequest
) -> None:
    directory = request.getfixturevalue(model)
    # As in a process that has computed nothing.
    resolve_kernels.cache_clear()
    with FirstCalls() as first:
        compute(directory)
    assert first.sizes == dict.fromkeys(VECTOR_MATH, 1)
