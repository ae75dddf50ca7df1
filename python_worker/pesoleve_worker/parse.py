"""Decoded JSON to frozen dataclasses, strictly: every key must be there, and no other."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import CatalogError

T = TypeVar("T")


def parse(kind: type[T], value: object, where: str = "") -> T:
    """Build dataclass ``kind`` from decoded JSON; every key must be there, and no other.

    Raises:
        CatalogError: ``catalog_invalid``, naming the place (``models[0].files[2].bytes``).
    """
    result = _parse(kind, value, where or kind.__name__.lower())
    assert isinstance(result, kind)
    return result


def _parse(kind: Any, value: object, where: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise _invalid(where, f"one of {', '.join(map(str, arguments))}", value)
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        if is_dataclass(arguments[0]):  # told apart by a key that only one of them has
            keys = value if isinstance(value, Mapping) else {}
            fitting = [a for a in arguments if fields(a)[0].name in keys]
            return _parse((fitting or arguments)[0], value, where)
        return _parse(next(a for a in arguments if a is not type(None)), value, where)
    if origin is list:
        if not isinstance(value, list):
            raise _invalid(where, "a list", value)
        return [_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _invalid(where, "an object", value)
        return {str(k): _parse(arguments[1], item, f"{where}.{k}") for k, item in value.items()}
    if is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise _invalid(where, "a number of believable size", value) from error
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _invalid(where, kind.__name__, value)
    return value


def _parse_dataclass(kind: Any, value: object, where: str) -> object:
    if not isinstance(value, Mapping):
        raise _invalid(where, "an object", value)
    hints = _field_types(kind)
    names = list(hints)
    missing = [name for name in names if name not in value]
    unknown = [str(key) for key in value if key not in names]
    if missing or unknown:
        said = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise CatalogError("catalog_invalid", f"{where} {said}")
    return kind(**{n: _parse(hints[n], value[n], f"{where}.{n}") for n in names})


@cache  # annotations are text, and each would be compiled anew for every object
def _field_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _invalid(where: str, expected: str, value: object) -> CatalogError:
    return CatalogError("catalog_invalid", f"{where} should be {expected}, not {value!r:.80}")
