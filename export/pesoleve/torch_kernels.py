"""PyTorch's elementwise functions on the CPU, made to be right the first time they are called."""

from __future__ import annotations

from functools import cache

VECTOR_MATH = (
    "acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "exp", "expm1", "log", "log10", "log1p",
    "log2", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
"""What ATen computes by Intel's vector mathematics library (aten/src/ATen/cpu/vml.h)."""


@cache
def resolve_kernels() -> None:
    """Have each function choose its kernel now, on one number, in one thread.

    MKL chooses at a function's first call. Where several threads make that call together, on a busy
    machine, one of them may take the kernel of low accuracy for its part, once, in silence:
    https://github.com/pytorch/pytorch/issues/188792. A decoder's angles came out a thousand times less
    exact for it. To be called before a model's first computation.
    """
    import torch

    for dtype in (torch.float32, torch.float64):
        one = torch.ones(1, dtype=dtype)
        for name in VECTOR_MATH:
            getattr(torch, name)(one)
