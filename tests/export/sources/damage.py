"""Ways in which a model's files come to harm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file


def copy_of(model: Path, target: Path) -> Path:
    """A copy of ``model`` that may be harmed."""
    shutil.copytree(model, target)
    return target


def cut(path: Path, size: int) -> None:
    """Cut ``size`` bytes off the end of ``path``."""
    content = path.read_bytes()
    assert len(content) > size
    path.write_bytes(content[:-size])


def shard(model: Path) -> list[Path]:
    """Split ``model.safetensors`` in two with an index, as large models come; return the parts."""
    whole = model / "model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    parts = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, model / part, {"format": "pt"})
    weight_map = {name: part for part, held in parts.items() for name in held}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    whole.unlink()
    return [model / part for part in parts]
