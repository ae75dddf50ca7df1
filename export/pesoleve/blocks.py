"""A weight matrix as small integers in blocks: what travels, whatever it is expanded to on arrival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Scale = npt.NDArray[np.float16] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlockTensor:
    """``W[n, k] = scale[n, b] * (q[n, k] - zero) + minimum[n, b]``, with ``b = k // block``.

    Attributes:
        q: uint8, shape (N, K); N is the layer's outputs (a table's rows), K its inputs.
        scale: float16 or float32, shape (N, K / block).
        minimum: like ``scale``, or None for a symmetric tensor.
        zero: what stands for zero in a symmetric tensor; 0 where there is a minimum.
        bits: of the plane that ``q`` is stored in, 4 (two to a byte) or 8. Fewer levels than the plane
            can hold cost little: the compressor's entropy coder sees to that.
    """

    q: npt.NDArray[np.uint8]
    scale: Scale
    minimum: Scale | None
    zero: int
    bits: int

    @property
    def block(self) -> int:
        """Weights that share a scale."""
        return int(self.q.shape[1] // self.scale.shape[1])

    def dequantize(self) -> Float:
        """Return W, float32, shape (N, K): exactly what the page expands to.

        The product is rounded to float32, then the sum, as llama.cpp and gguf-py have it.
        """
        rows, columns = self.q.shape
        levels = self.q.astype(np.float32) - np.float32(self.zero)
        blocks = levels.reshape(rows, -1, self.block) * self.scale.astype(np.float32)[:, :, None]
        if self.minimum is not None:
            blocks = blocks + self.minimum.astype(np.float32)[:, :, None]
        return np.ascontiguousarray(blocks.reshape(rows, columns), dtype=np.float32)

    def power_of_two_blocks(self) -> BlockTensor:
        """Return the same tensor with scales repeated until a block is a power of two: MatMulNBits
        takes no other."""
        block = self.block & -self.block
        times = self.block // block
        if times == 1:
            return self
        minimum = None if self.minimum is None else repeat_scales(self.minimum, times)
        return BlockTensor(self.q, repeat_scales(self.scale, times), minimum, self.zero, self.bits)


def repeat_scales(scales: Scale, times: int) -> Scale:
    """Return (N, blocks) as (N, blocks * times): smaller blocks with the scales that they had."""
    repeated: Any = np.repeat(scales, times, axis=1)
    return repeated  # type: ignore[no-any-return]
