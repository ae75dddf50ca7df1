"""What the steps of a chain cost, one after another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReducedStep:
    """One step, and what it cost on ``movies-test`` and in bytes of fp32 on the wire."""

    technique: str
    detail: str
    quality_before: float
    quality_after: float
    bytes_before: int
    bytes_after: int
