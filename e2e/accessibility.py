"""What axe-core finds wrong with a page as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

AXE = (Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js").read_text()


def expect_accessible(page: Page) -> None:
    page.evaluate(AXE)
    result = page.evaluate("axe.run()")
    problems = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in result["violations"]]
    assert not problems, problems


def expect_accessible_in_both_schemes(page: Page) -> None:
    """Light and dark, one after the other: what was loaded is loaded once."""
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        expect_accessible(page)
