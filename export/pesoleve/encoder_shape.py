"""The widths of a BERT whose layers may differ, or be one layer used several times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class EncoderShape:
    """``layers`` names the weights each layer uses: ``[0, 0, 0]`` is one layer applied three times."""

    vocabulary: int
    hidden: int
    positions: int
    head_size: int
    heads: tuple[int, ...]
    intermediate: tuple[int, ...]
    layers: tuple[int, ...]
    labels: tuple[str, ...]
    epsilon: float = 1e-12

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> EncoderShape:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        return EncoderShape(**fields)
