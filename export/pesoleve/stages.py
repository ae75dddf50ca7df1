"""Stages of a build, kept on disk by what they depend on, so that a rebuild does only what changed."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from .measurements import Measurements, digest

TOOLS = (
    "numpy", "onnx", "onnxruntime", "optimum-onnx", "tokenizers", "torch", "transformers", "zstandard",
)  # fmt: skip
"""Libraries whose version can change what a stage makes."""

MEASURED = "measured.json"

Report = Callable[[str, bool], None]
"""Told each stage's label, and whether it was there already, as it begins."""

Tell = Callable[[str], None]
"""Told where a long stage is, about once a second."""


def default_cache() -> Path:
    """``PESOLEVE_CACHE``, or ``.cache/pesoleve`` below the current directory."""
    return Path(os.environ.get("PESOLEVE_CACHE", ".cache/pesoleve"))


@dataclass(frozen=True)
class Stage:
    """A finished stage: where its output is, and the key that stands for it."""

    output: Path
    key: str


class Stages:
    """A cache of stage outputs: one directory a key, complete or absent, never half written."""

    def __init__(
        self,
        root: Path,
        report: Report = lambda _label, _cached: None,
        tell: Tell = lambda _said: None,
        measurements: Measurements | None = None,
    ) -> None:
        self.root = root
        self.measurements = measurements or Measurements()
        self.ran = 0
        self._report = report
        self.tell = tell
        self._tools = {name: metadata.version(name) for name in TOOLS}

    def run(
        self,
        name: str,
        label: str,
        work: Callable[[Path], None],
        *,
        code: Sequence[ModuleType],
        depends_on: Mapping[str, Any],
    ) -> Stage:
        """Return the directory that ``work`` filled for these dependencies, and its key.

        Args:
            work: fills the directory it is given.
            code: the modules whose source decides what ``work`` makes.
            depends_on: everything else the output depends on; must be JSON. Keys of other stages
                stand for their outputs.
        """
        python = {"python": sys.version_info[:2]}
        key = self._key({"stage": name, "depends_on": depends_on, **python}, code)
        output = self.root / f"{name}-{key}"
        self._report(label, output.is_dir())
        if not output.is_dir():
            self.ran += 1
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=self.root, prefix=f".{name}-"))
            try:
                work(partial)
                self._keep(partial, output)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return Stage(output, key)

    def measure(
        self,
        label: str,
        work: Callable[[], dict[str, Any]],
        *,
        model_id: str,
        dtype: str,
        of: Mapping[str, Stage],
        code: Sequence[ModuleType],
        depends_on: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return what ``work`` measures of the contents of ``of``, or what is known of the same.

        Args:
            work: returns JSON.
            of: the stages whose outputs are measured. What is known is known of their bytes, not of the
                code that made them.
            code: the modules whose source decides what is measured.
            depends_on: everything else that it depends on; must be JSON, and true on every machine.
        """

        def key_of_content() -> str:
            content = {name: digest(stage.output) for name, stage in of.items()}
            return self._key({"content": content, "depends_on": depends_on}, code)

        def write(output: Path) -> None:
            known = self.measurements.recall(model_id, dtype, key_of_content())
            measured = work() if known is None else known
            (output / MEASURED).write_text(json.dumps(measured), encoding="utf-8")

        keys = {name: stage.key for name, stage in of.items()}
        again = self.measurements.again
        stage = self.run(
            "measure",
            label,
            write,
            code=code,
            depends_on={"of": keys, "also": depends_on, "again": again},
        )
        measured: dict[str, Any] = json.loads((stage.output / MEASURED).read_text(encoding="utf-8"))
        if self.measurements.keep is not None:
            self.measurements.record(model_id, dtype, key_of_content(), measured)
        return measured

    def _key(self, identity: Mapping[str, Any], code: Sequence[ModuleType]) -> str:
        sources = b"".join(Path(inspect.getfile(module)).read_bytes() for module in code)
        whole = {**identity, "code": hashlib.sha256(sources).hexdigest(), "tools": self._tools}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]

    @staticmethod
    def _keep(partial: Path, output: Path) -> None:
        try:
            partial.rename(output)
        except OSError:
            if not output.is_dir():  # else another build finished the same stage meanwhile
                raise
