"""The article's examples, by their published shapes, weighed for the page: it shows them before Python
is there to weigh anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pesoleve_worker.weighing import weigh_config

FOLDER = Path(__file__).with_name("published")
ORDER = ("distilbert", "gemma-2b", "mistral-7b", "gemma-7b")


def weigh_published() -> list[dict[str, Any]]:
    """Return ``{name, config, weighed}`` for each, lightest first."""
    found = []
    for name in ORDER:
        model = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        found.append({**model, "weighed": asdict(weigh_config(model["config"]))})
    return found
