"""A verdict from ``pesoleve.weigh``, for tests of what it says."""

from __future__ import annotations

from typing import Any

WEIGH = "return await pesoleve.weigh(argument.id, argument);"
"""Of a model's id, and options, as the argument."""


def reasons(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {reason["code"]: reason for reason in verdict["reasons"]}
