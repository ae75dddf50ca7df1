"""What axe-core finds wrong with a page as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js").read_text()


def expect_accessible(page: Page, within: str = "html", **options: Any) -> None:
    """Of the whole page, or of the element ``within``: the others have tests of their own.

    Args:
        within: a CSS selector.
        options: axe-core's (https://www.deque.com/axe/core-documentation/api-documentation/).
    """
    page.evaluate(AXE)
    result = page.evaluate(
        "([within, options]) => axe.run(within, options)",
        # What is right is not told of node by node: naming each takes axe most of its time.
        [within, {"resultTypes": ["violations"], **options}],
    )
    assert result["passes"], f"nothing in {within} was looked at"
    problems = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in result["violations"]]
    assert not problems, problems


def expect_accessible_in_both_schemes(page: Page, within: str = "html") -> None:
    """Light, then what of it dark can change; what was loaded is loaded once."""
    page.emulate_media(color_scheme="light")
    expect_accessible(page, within)
    page.emulate_media(color_scheme="dark")
    expect_accessible(page, within, runOnly=["color-contrast"])
