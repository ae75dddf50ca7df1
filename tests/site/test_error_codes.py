"""The page knows the very codes that the worker can send."""

from __future__ import annotations

import re
from pathlib import Path

from pesoleve_worker.errors import CODES

ERRORS = Path(__file__).parents[2] / "site" / "js" / "errors.js"


def test_codes_are_those_of_the_tree() -> None:
    listed = re.search(r"CODES = .*?\(\[(.*?)\]\)", ERRORS.read_text(), re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r"'(\w+)'", listed[1])) == CODES
