"""Real Chromium, the real built models, and a page whose every request and error is kept."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from pesoleve import catalog
from pesoleve_worker.catalog import Model

from . import chromium
from .faulty_server import FaultyServer, serve_faulty
from .known_speed import KNOWN_SPEED
from .lasting_browser import OpenProfile, open_browser
from .returning_visitor import ReturningVisitor
from .server import SITE, serve_site
from .sharded_model import ShardedModel, build_sharded_model
from .site_copy import SiteCopy
from .visit import Visit
from .visitor import Visitor

expect.set_options(timeout=20_000)
"""Milliseconds: two browsers share the cores."""


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    executable = chromium.find()
    if executable is None:
        raise RuntimeError("No Chromium found. Run: make browser, or set CHROMIUM to its path.")
    return {"executable_path": executable, "args": list(chromium.FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    """A service worker would answer for the server in every test but those of itself."""
    viewport = {"width": 1280, "height": 900}
    return {"locale": "en-US", "viewport": viewport, "service_workers": "block"}


@pytest.fixture(scope="session")
def isolated_site() -> Iterator[str]:
    with serve_site() as address:
        yield address


@pytest.fixture(scope="session")
def plain_site() -> Iterator[str]:
    """A host that cannot set COOP and COEP."""
    with serve_site(isolation=False) as address:
        yield address


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    """What was built into the site, by id."""
    return {entry.id: entry for entry in catalog.read(SITE / "models").models}


@pytest.fixture(scope="session")
def model(models: dict[str, Model]) -> Model:
    """MiniLM-L6."""
    return models["minilm-l6"]


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> ShardedModel:
    """MiniLM in shards of 2 MB."""
    return build_sharded_model(tmp_path_factory.mktemp("sharded"))


@pytest.fixture(scope="module")
def faulty_site(sharded: ShardedModel) -> Iterator[tuple[str, FaultyServer]]:
    with serve_faulty(sharded.folder) as served:
        yield served


@pytest.fixture
def faulty(faulty_site: tuple[str, FaultyServer]) -> tuple[str, FaultyServer]:
    """The site with the sharded model and no fault yet: its address, and the server to plan them."""
    faulty_site[1].recover()
    return faulty_site


@pytest.fixture
def server(faulty: tuple[str, FaultyServer]) -> FaultyServer:
    return faulty[1]


@pytest.fixture
def open_profile(
    playwright: Playwright,
    browser_type_launch_args: dict[str, Any],
    browser_context_args: dict[str, Any],
    tmp_path: Path,
) -> OpenProfile:
    """Opens a browser with a profile on the disk, the same at every call."""
    return partial(
        open_browser,
        playwright,
        tmp_path / "profile",
        browser_type_launch_args,
        browser_context_args,
    )


@pytest.fixture(scope="session")
def budgets() -> dict[str, int]:
    return tomllib.loads((Path(__file__).with_name("budgets.toml")).read_text())


@pytest.fixture
def copy(tmp_path: Path) -> SiteCopy:
    """The site, to be changed and counted."""
    return SiteCopy.make(tmp_path / "site")


@pytest.fixture
def visitor(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Visitor]:
    """Somebody whose browser lets the site keep itself."""
    with browser.new_context(**browser_context_args | {"service_workers": "allow"}) as context:
        yield Visitor(context)


@pytest.fixture(scope="session")
def returning(
    playwright: Playwright,
    browser_type_launch_args: dict[str, Any],
    browser_context_args: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ReturningVisitor]:
    with open_browser(
        playwright,
        tmp_path_factory.mktemp("returning"),
        browser_type_launch_args,
        browser_context_args,
    ) as browser:
        browser.context.add_init_script(KNOWN_SPEED)
        yield ReturningVisitor(browser.context)


@pytest.fixture
def context(request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """Somebody who was here before: what V8 compiled then is kept, which halves a load, and the device
    was measured. In a test that is marked ``fresh``, somebody who never was, whose device was; in one
    that is marked ``probe``, whose device was not, as measuring keeps all cores busy and two browsers
    share them."""
    marks = {mark.name for mark in request.node.iter_markers()}
    if marks & {"fresh", "probe", "browser_context_args"}:
        context = request.getfixturevalue("new_context")()
        if "probe" not in marks:
            context.add_init_script(KNOWN_SPEED)
        yield context
    else:
        returning: ReturningVisitor = request.getfixturevalue("returning")
        yield returning.context
        returning.forget()


@pytest.fixture
def visit(page: Page) -> Visit:
    """The page, watched. A test ends with ``visit.expect_clean()`` where nothing may have failed."""
    return Visit(page)
