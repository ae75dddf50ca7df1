"""What is wrong with a recipe, in words: the key, and the nearest right one."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails


def describe(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Say what is wrong with a recipe of ``model``: the place, and the nearest right key."""
    where = [str(part) for part in detail["loc"]]
    if detail["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {detail['msg']}"
    *parents, key = where
    return f"{'.'.join(where)}: unknown key{hint(key, _keys_at(model, parents))}"


def _keys_at(model: Any, parents: list[str]) -> list[str]:
    """The keys a recipe takes at ``parents``, through nested models, unions and dicts."""
    candidates = [model]
    for part in parents:
        found: list[Any] = []
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                if part in candidate.model_fields:
                    found.append(candidate.model_fields[part].annotation)
                elif _tag(candidate) == part:
                    found.append(candidate)
            elif args := get_args(candidate):
                found.append(args[-1])  # the value type of a dict
        candidates = [leaf for item in found for leaf in _leaves(item)]
    return sorted(
        field.alias or name
        for candidate in candidates
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name, field in candidate.model_fields.items()
    )


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    return str(get_args(kind.annotation)[0]) if kind else None


def _leaves(annotation: Any) -> list[Any]:
    if isinstance(annotation, type):
        return [annotation]
    args = get_args(annotation)
    if getattr(annotation, "__origin__", None) is dict:
        return [annotation]
    return [leaf for arg in args for leaf in _leaves(arg)]


def hint(word: str, right: list[str]) -> str:
    """Name the right word that ``word`` was meant to be, or all of them."""
    near = difflib.get_close_matches(word, right, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are: {', '.join(right)}" if right else ""
