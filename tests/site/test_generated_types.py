"""What is generated and committed is what its source generates now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_typescript_types_are_those_of_the_schema(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "Node is missing. Run: make setup"
    generated = tmp_path / "catalog_types.d.ts"
    command = ROOT / "node_modules" / ".bin" / "json2ts"
    schema = ROOT / "site" / "schema" / "catalog.schema.json"
    subprocess.run([node, command, "--input", schema, "--output", generated], check=True)
    committed = (ROOT / "site" / "js" / "catalog_types.d.ts").read_text()
    assert generated.read_text() == committed, "Stale. Run: make types"
