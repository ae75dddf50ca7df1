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

TOOLS = (
    "numpy", "onnx", "onnxruntime", "optimum-onnx", "tokenizers", "torch", "transformers", "zstandard",
)  # fmt: skip
"""Libraries whose version can change what a stage makes."""

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
    ) -> None:
        self.root = root
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
        sources = b"".join(Path(inspect.getfile(module)).read_bytes() for module in code)
        identity = {
            "stage": name,
            "code": hashlib.sha256(sources).hexdigest(),
            "tools": self._tools,
            "python": sys.version_info[:2],
            "depends_on": depends_on,
        }
        text = json.dumps(identity, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
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

    @staticmethod
    def _keep(partial: Path, output: Path) -> None:
        try:
            partial.rename(output)
        except OSError:
            if not output.is_dir():  # else another build finished the same stage meanwhile
                raise
