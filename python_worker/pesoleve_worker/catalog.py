"""The catalog entry: the only thing that passes from the export to the page.

``site/schema/catalog.schema.json`` is the one definition; a test holds these dataclasses to it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .errors import CatalogError

SCHEMA_VERSION = 6

Task = Literal["feature_extraction", "text_classification", "text_generation"]
WeightClass = Literal["straw", "fly", "feather", "light", "welter", "middle", "heavy", "super-heavy"]
Codec = Literal["identity", "zstd"]
Role = Literal["graph", "weights", "tokenizer", "ngrams", "surrogate"]
ROLES: tuple[Role, ...] = ("graph", "weights", "tokenizer")
"""What it takes to open a model; ``ngrams`` only make one that talks faster."""

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
    """One measured figure of one dtype beside the reference implementation's own.

    ``interval`` holds the figure 95 times in 100, as far as the ``n`` examples tell; it is absent where
    that was not asked."""

    dtype: str
    metric: str
    dataset: str
    n: int
    value: float
    reference_value: float
    interval: list[float] | None


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
class TextClassification:
    """What ``text_classification`` needs beside the files. ``output`` has a probability for each of
    ``labels``."""

    labels: list[str]
    max_length: int
    output: str


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
class Sizes:
    """What one dtype takes on one device, in bytes, predicted from its shape (``sizing.py``).

    ``memory_bytes``: WebAssembly heaps with the model open and no context; ``loading_bytes``: they and
    its files at their most while it loads. ``read_bytes`` of weights, and ``multiply_adds``, are a
    token's."""

    memory_bytes: int
    loading_bytes: int
    largest_tensor_bytes: int
    read_bytes: int
    multiply_adds: int
    kv_bytes_per_token: int


@dataclass(frozen=True)
class Surrogate:
    """The model's graph cut to its first ``layers``, by its path; the page makes up its weights, of
    which there are ``weight_bytes``."""

    path: str
    layers: int
    weight_bytes: int


@dataclass(frozen=True)
class Device:
    """How one device opens the model: what its weights expand to (``export/pesoleve/graph/layouts.py``;
    ``file`` is as they are), ORT session configuration, and the files of each dtype."""

    layout: Layout
    session_config: dict[str, str]
    files: dict[str, list[str]]
    sizes: dict[str, Sizes]
    surrogates: dict[str, list[Surrogate]]


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
    pipeline: TextClassification | Pipeline | TextGeneration
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

    def wire_files(self, device: str, dtype: str) -> list[File]:
        """Return all that ``device`` fetches to open ``dtype``."""
        return [file for shards in self.files_for(device, dtype).values() for file in shards]

    def files_for(self, device: str, dtype: str) -> dict[Role, list[File]]:
        """Return what ``device`` needs to open ``dtype``, by role; a role's content is that of its
        shards, one after the other."""
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
        files: dict[Role, list[File]] = {}
        for file in map(self.file, paths):
            files.setdefault(file.role, []).append(file)
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


def to_dict(value: Catalog | Model) -> dict[str, Any]:
    """The inverse of ``parse``: plain dicts and lists, ready for JSON."""
    return asdict(value)
