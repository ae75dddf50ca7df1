"""The catalog entry: the only thing that passes from the export to the page.

``site/schema/catalog.schema.json`` is the one definition; a test holds these dataclasses to it.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import CatalogError

SCHEMA_VERSION = 2

Task = Literal["feature_extraction", "text_generation"]
WeightClass = Literal["straw", "fly", "feather", "light", "welter", "middle", "heavy", "super-heavy"]
Codec = Literal["identity", "zstd"]
Role = Literal["graph", "weights", "tokenizer"]
ROLES: tuple[Role, ...] = get_args(Role)
Layout = Literal["file", "float32", "blocks", "int8"]


@dataclass(frozen=True)
class Parameters:
    """Counts: in the architecture, in the file (tied once), and in embedding tables."""

    total: int
    stored: int
    embedding: int


@dataclass(frozen=True)
class License:
    name: str
    url: str
    attribution: str
    redistributable: bool


@dataclass(frozen=True)
class Source:
    """Where the weights came from; ``sha256`` is over the source's files."""

    kind: Literal["package", "directory", "hub", "gguf"]
    locator: str
    revision: str
    sha256: str


@dataclass(frozen=True)
class LineageStep:
    """One reduction, and what it cost. ``bytes_*`` are graph and weights on the wire."""

    technique: str
    dtype: str
    detail: str
    quality_before: float
    quality_after: float
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Quality:
    """One measured figure of one dtype beside the reference implementation's own."""

    dtype: str
    metric: str
    dataset: str
    n: int
    value: float
    reference_value: float


@dataclass(frozen=True)
class Shape:
    """What sizing needs to know."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    context: int


@dataclass(frozen=True)
class Pipeline:
    """What ``feature_extraction`` needs beside the files. ``max_length`` counts special tokens."""

    max_length: int
    output: str
    dimensions: int


@dataclass(frozen=True)
class TextGeneration:
    """What ``text_generation`` needs beside the files.

    ``chat_template`` is Jinja, as transformers has it; ``context`` is in tokens, prompt and answer.
    """

    context: int
    chat_template: str
    bos_token: str
    eos_token: str
    eos_token_ids: list[int]


@dataclass(frozen=True)
class File:
    """``bytes`` and ``sha256`` are of what crosses the wire; ``decoded_bytes`` of what it becomes."""

    role: Role
    path: str
    dtype: str | None
    codec: Codec
    bytes: int
    decoded_bytes: int
    sha256: str


@dataclass(frozen=True)
class Device:
    """How one device opens the model: what its weights expand to (``export/pesoleve/graph/layouts.py``;
    ``file`` is as they are), ORT session configuration, and the files of each dtype."""

    layout: Layout
    session_config: dict[str, str]
    files: dict[str, list[str]]


@dataclass(frozen=True)
class Canary:
    """Inputs and the golden output of each dtype on the CPU: flattened vectors, or greedy token ids.

    A device whose answer differs anywhere by more than ``tolerance`` is not to be trusted.
    """

    inputs: list[str]
    outputs: dict[str, list[list[float]]]
    tolerance: float


@dataclass(frozen=True)
class Model:
    """One entry of the catalog."""

    id: str
    title: dict[str, str]
    summary: dict[str, str]
    task: Task
    weight_class: WeightClass
    parameters: Parameters
    license: License
    source: Source
    lineage: list[LineageStep]
    quality: list[Quality]
    shape: Shape
    pipeline: Pipeline | TextGeneration
    default_dtype: str
    files: list[File]
    devices: dict[str, Device]
    canary: Canary

    def file(self, path: str) -> File:
        """Return the file with this path, or raise ``catalog_invalid``."""
        for file in self.files:
            if file.path == path:
                return file
        raise CatalogError("catalog_invalid", f"model {self.id!r} lists no file {path!r}")

    def quality_key(self, device: str, dtype: str) -> str:
        """Return what ``quality`` and ``canary`` call ``dtype`` on ``device``.

        The int8 layout answers otherwise than the weights that travel: its figures have a name of their
        own.
        """
        known = self.devices.get(device)
        return f"{dtype}_int8" if known is not None and known.layout == "int8" else dtype

    def files_for(self, device: str, dtype: str) -> dict[Role, File]:
        """Return what ``device`` needs to open ``dtype``, by role."""
        if device not in self.devices:
            raise CatalogError(
                "option_invalid",
                f"model {self.id!r} has no device {device!r}; it has {sorted(self.devices)}",
            )
        paths = self.devices[device].files.get(dtype)
        if paths is None:
            raise CatalogError(
                "option_invalid",
                f"model {self.id!r} has no dtype {dtype!r} on {device}; "
                f"it has {sorted(self.devices[device].files)}",
            )
        files = {file.role: file for file in map(self.file, paths)}
        lacking = [role for role in ROLES if role not in files]
        if lacking:
            raise CatalogError(
                "catalog_invalid",
                f"model {self.id!r} lists no {', '.join(lacking)} for {dtype} on {device}",
            )
        return files


@dataclass(frozen=True)
class Catalog:
    schema_version: int
    models: list[Model]


T = TypeVar("T")


def parse(kind: type[T], value: object, where: str = "") -> T:
    """Build dataclass ``kind`` from decoded JSON; every key must be there, and no other.

    Raises:
        CatalogError: ``catalog_invalid``, naming the place (``models[0].files[2].bytes``).
    """
    result = _parse(kind, value, where or kind.__name__.lower())
    assert isinstance(result, kind)
    return result


def to_dict(value: Catalog | Model) -> dict[str, Any]:
    """The inverse of ``parse``: plain dicts and lists, ready for JSON."""
    return asdict(value)


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
    names = [field.name for field in fields(kind)]
    missing = [name for name in names if name not in value]
    unknown = [str(key) for key in value if key not in names]
    if missing or unknown:
        said = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise CatalogError("catalog_invalid", f"{where} {said}")
    hints = get_type_hints(kind)
    return kind(**{n: _parse(hints[n], value[n], f"{where}.{n}") for n in names})


def _invalid(where: str, expected: str, value: object) -> CatalogError:
    return CatalogError("catalog_invalid", f"{where} should be {expected}, not {value!r:.80}")
