"""What axe-core finds wrong with a page as it stands."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js").read_text()


def expect_accessible(page: Page) -> None:
    page.evaluate(AXE)
    result = page.evaluate("axe.run()")
    problems = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in result["violations"]]
    assert not problems, problems
