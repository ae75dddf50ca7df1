"""The page as a visitor uses it: both languages, keyboard, narrow and wide, every kind of host."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from pesoleve.serve import CSP

from .accessibility import expect_accessible, expect_accessible_in_both_schemes
from .server import SITE, serve_site
from .visit import MINILM, Visit

READY = 120_000


def download(page: Page, name: str = "Download") -> None:
    page.get_by_role("button", name=name).click()
    expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)


def test_search_by_meaning(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)
    expect(
        page.get_by_role("button", name=re.compile(r"Download 19\.\d MB and run it"))
    ).to_be_enabled()
    expect(page.locator("pl-weight-ladder [aria-current]")).to_contain_text("Feather")
    expect(page.get_by_role("article")).to_contain_text("22,713,216")
    expect(page.get_by_role("article")).to_contain_text("Apache-2.0")
    expect_accessible(page)
    download(page)
    first = page.locator(".ranking__row").first
    expect(first).to_contain_text("A pilot landed the plane")
    page.get_by_label("What are you looking for?").fill("car repair")
    expect(first).to_contain_text("borrowed wrench")
    sentences = page.get_by_label("Sentences, one a line")
    sentences.fill(
        "The <b>dog</b> barks.\nThe mechanic mended my car.\n\n  \nThe mechanic mended my car."
    )
    expect(page.locator(".ranking__row")).to_have_count(2)
    expect(first).to_contain_text("mechanic")
    expect(page.locator(".ranking__row").last).to_contain_text("The <b>dog</b> barks.")
    sentences.fill("")
    expect(page.locator(".search__empty")).to_be_visible()
    measured = page.locator(".measured")
    expect(measured).to_contain_text("WebAssembly on the CPU")
    expect(page.locator(".ledger__table tbody tr").filter(has_text="weights-")).to_have_count(1)
    expect_accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect_accessible_in_both_schemes(page)
    visit.expect_clean(isolated_site)


def test_another_dtype_is_weighed_then_loaded(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)
    before = page.get_by_test_id("plan-total").inner_text()
    page.get_by_role("radio", name="q8").check()
    expect(page.get_by_test_id("plan-total")).not_to_have_text(before)
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_have_attribute("aria-busy", "false")
    download(page)
    expect(page.get_by_role("button", name="Running in this page")).to_be_disabled()
    measured = verdict.locator(".corner--measured")
    expect(measured).to_have_count(4)
    # The other has a verdict of its own before the click, and the one that runs keeps its.
    page.get_by_role("radio", name="q4").check()
    expect(measured).to_have_count(0)
    expect(verdict).to_have_attribute("aria-busy", "false")
    assert page.evaluate("document.querySelector('pl-verdict-panel').verdict.dtype") == "q4"
    page.get_by_role("radio", name="q8").check()
    expect(measured).to_have_count(4)
    assert page.evaluate("document.querySelector('pl-verdict-panel').verdict.dtype") == "q8"
    page.get_by_role("radio", name="q4").check()
    download(page)
    assert page.evaluate("document.querySelector('pl-verdict-panel').verdict.dtype") == "q4"
    # The ledger tells of everything that this page fetched: both dtypes.
    expect(page.locator(".ledger__table tbody tr").filter(has_text="weights-")).to_have_count(3)
    # While one ran, no layers of the other were timed beside it.
    assert not any("surrogate_worker" in path for path in visit.bytes_by_path())
    visit.expect_clean(isolated_site)


def test_who_asks_before_the_device_is_weighed_sees_what_was_measured(
    visit: Visit, isolated_site: str
) -> None:
    page = visit.page
    held: list[Route] = []
    page.route("**/vendor/probe/probe.wasm", lambda route: held.append(route))
    visit.open(isolated_site, MINILM)
    expect(page.get_by_text("Weighing this device…")).to_be_visible()
    page.get_by_role("button", name="Download").click()
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_contain_text("before this device was weighed")
    expect(page.get_by_text("Weighing this device…")).to_have_count(0)
    expect(page.locator(".ranking__row").first).to_be_visible(timeout=READY)
    expect(verdict.locator(".corner--measured")).to_have_count(4)
    expect(verdict.locator(".corner--predicted")).to_have_count(0)
    expect_accessible_in_both_schemes(page, "pl-model-card")
    for route in held:
        route.continue_()


def test_keyboard_only(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)

    def press_until(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if name in page.evaluate("document.activeElement.textContent"):
                return
        raise AssertionError(f"Tab does not reach {name}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press_until("Português")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    press_until("Baixar")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pausar")).to_be_focused()
    search = page.get_by_label("O que você procura?")
    expect(search).to_be_focused(timeout=READY)
    page.keyboard.press("Control+A")
    page.keyboard.type("music at night")
    expect(page.locator(".ranking__row").first).to_contain_text("orchestra")
    visit.expect_clean(isolated_site)


def test_cancel_and_load_again(visit: Visit, isolated_site: str) -> None:
    page = visit.page
    visit.open(isolated_site, MINILM)
    page.get_by_role("button", name="Download").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("Cancelled")
    download(page)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("locale", ["pt-BR", "pt-PT", "fr-FR"])
def test_language_follows_the_browser_and_is_remembered(
    page: Page, isolated_site: str, locale: str
) -> None:
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(locale=locale, service_workers="block")
    other = context.new_page()
    other.goto(isolated_site)
    expected = "pt-BR" if locale.startswith("pt") else "en"
    expect(other.locator("html")).to_have_attribute("lang", expected)
    expect(other.locator(".scale__number")).to_have_text(
        re.compile("," if expected == "pt-BR" else r"\.")
    )
    choose = "English" if expected == "pt-BR" else "Português"
    other.get_by_role("button", name=choose).click()
    other.reload()
    expect(other.locator("html")).to_have_attribute("lang", "en" if expected == "pt-BR" else "pt-BR")
    context.close()


def test_the_language_can_be_chosen_where_nothing_is_kept(page: Page, isolated_site: str) -> None:
    page.add_init_script("""Object.defineProperty(window, 'localStorage', {
      get() { throw new DOMException('denied', 'SecurityError'); },
    });""")
    page.goto(isolated_site)
    page.get_by_role("button", name="Português").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")


def test_under_a_base_path_without_isolation(visit: Visit) -> None:
    with serve_site(base_path="/some/folder/", isolation=False) as site:
        visit.open(site, MINILM)
        assert visit.page.evaluate("crossOriginIsolated") is False
        expect(visit.page.locator(".scale__device")).to_contain_text("One thread.")
        download(visit.page)
        visit.expect_clean(site)


def test_the_policy_is_strict_and_said_twice(visit: Visit, isolated_site: str) -> None:
    answer = visit.page.goto(isolated_site)
    assert answer is not None
    meta = visit.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert meta == CSP
    assert answer.headers["content-security-policy"].startswith(CSP)
    assert "unsafe-inline" not in CSP and "'unsafe-eval'" not in CSP and "http" not in CSP
    refused = visit.page.evaluate("""() => new Promise((resolve) => {
      addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.body.append(script);
    })""")
    assert refused == "script-src-elem"
    assert visit.page.evaluate("window.ran") is None


def test_the_example_page_works(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    visit.page.get_by_role("button").click()
    expect(visit.page.get_by_role("status")).to_contain_text("Cosine 0.", timeout=READY)
    visit.expect_clean(isolated_site)


def test_no_inline_script_or_style_in_the_markup() -> None:
    for path in (SITE / "index.html", SITE / "examples" / "embed.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert "<style" not in text and not re.search(r"\s(style|on\w+)=", text)
