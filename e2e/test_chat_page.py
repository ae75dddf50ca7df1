"""The page with the chat model: keyboard, streaming, stop, languages, and a worker that dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .accessibility import expect_accessible, expect_accessible_in_both_schemes
from .chat import ID
from .visit import Visit

READY = 120_000
ANSWERED = 60_000
SEA = "Tell me a long story about the sea."
KILL = """async () => {
  const { PesoLeveError } = await import(new URL('js/errors.js', location.href));
  const { client } = document.querySelector('pl-chat-panel').model;
  client.kill(new PesoLeveError('worker_died', 'out of memory'));
}"""


@pytest.fixture(scope="module")
def shared(
    browser: Browser, browser_context_args: dict[str, Any], isolated_site: str
) -> Iterator[Visit]:
    """The page with the model loaded from the keyboard, once for all tests here."""
    with browser.new_context(**browser_context_args) as context:
        visit = Visit(context.new_page())
        visit.page.on("dialog", lambda dialog: visit.errors.append(f"dialog: {dialog.message}"))
        visit.open(isolated_site, f"?model={ID}")
        load = visit.page.get_by_role("button", name="Download")
        expect(load).to_contain_text(re.compile(r"Download 9\d\.\d\sMB and run it"))
        load.focus()
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_label("Your message")).to_be_focused(timeout=READY)
        yield visit


@pytest.fixture
def chat(shared: Visit) -> Iterator[Page]:
    """The loaded page in English, at its usual width, with an empty conversation of short answers."""
    page = shared.page
    if page.locator(".turn").count():
        page.get_by_role("button", name="Clear").click()
    expect(page.locator(".turn")).to_have_count(0)
    let_answers_have(page, 24)
    yield page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def let_answers_have(page: Page, tokens: int) -> None:
    fold = page.locator("details", has=page.get_by_text("How it picks its words"))
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    field = page.get_by_label("Longest answer")
    field.fill(str(tokens))
    field.blur()
    fold.locator("summary").click()


def field(page: Page) -> Locator:
    return page.locator(".chat__prompt")


def answers(page: Page) -> Locator:
    return page.locator(".turn--assistant")


def send(page: Page, text: str) -> Locator:
    """Send by keyboard; returns the answer, which may be under way."""
    field(page).focus()
    page.keyboard.insert_text(text)
    page.keyboard.press("Enter")
    answer = answers(page).last
    expect(answer).to_be_visible()
    return answer


def ask(page: Page, text: str) -> Locator:
    answer = send(page, text)
    expect_end(page)
    return answer


def expect_end(page: Page) -> None:
    expect(page.locator(".turn[aria-busy=true]")).to_have_count(0, timeout=ANSWERED)
    expect(page.locator(".chat__stop")).to_have_count(0)


def words(answer: Locator) -> str:
    return answer.locator(".turn__text").inner_text()


def context(page: Page) -> int:
    found = re.match(
        r"\s*([\d,.]+) (?:of|de) 2[,.]048 tokens", page.locator(".chat__context").inner_text()
    )
    assert found is not None
    return int(re.sub(r"\D", "", found[1]))


def test_an_answer_is_drawn_ten_times_a_second_at_most(chat: Page) -> None:
    """What draws takes a small CPU from the model."""
    let_answers_have(chat, 40)
    chat.evaluate(
        """() => {
          const panel = document.querySelector('pl-chat-panel');
          globalThis.drawn = [];
          new MutationObserver(() => drawn.push(performance.now()))
            .observe(panel, { subtree: true, characterData: true, childList: true });
        }"""
    )
    assert words(ask(chat, SEA))
    drawn = chat.evaluate("drawn")
    assert len(drawn) > 3
    # Sending a message draws twice: what was in the field is gone, and the turn is there.
    assert len(drawn) <= (drawn[-1] - drawn[0]) / 100 + 3


def test_an_answer_comes_piece_by_piece(chat: Page) -> None:
    let_answers_have(chat, 40)
    assert context(chat) == 0
    field(chat).focus()
    chat.keyboard.type("Tell me a long story,")
    chat.keyboard.press("Shift+Enter")
    chat.keyboard.type("about the sea.")
    assert field(chat).input_value() == "Tell me a long story,\nabout the sea."
    chat.keyboard.press("Enter")
    answer = answers(chat).last
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(field(chat)).to_have_value("")
    expect(chat.get_by_role("button", name="Send")).to_be_disabled()
    expect(answer.locator(".turn__text")).not_to_be_empty(timeout=ANSWERED)
    early = words(answer)
    expect(answer.locator(".turn__cost")).to_contain_text(
        re.compile(r"[\d.]+ tokens/s · first token after"), timeout=ANSWERED
    )
    expect_end(chat)
    late = words(answer)
    assert late.startswith(early) and len(late) > len(early) > 0
    expect(answer.locator(".turn__cost").last).to_contain_text("40 tokens")
    expect(answer).to_contain_text("Stopped at the longest answer allowed.")
    expect(chat.locator(".chat [role=status].visually-hidden")).to_have_text("The answer is complete.")
    assert context(chat) > 40
    measured = chat.locator(".measured")
    expect(measured).to_contain_text("Last answer")
    expect(measured).to_contain_text("tokens read")
    expect(field(chat)).to_be_focused()


def test_a_second_turn_reads_only_what_is_new_and_clear_forgets(chat: Page) -> None:
    ask(chat, "What is the capital of France?")
    after_one = context(chat)
    ask(chat, "And of Italy?")
    # The question with its turn's marks is 15 tokens, and an answer has some.
    assert context(chat) > after_one + 15
    read = re.search(r"\((\d+) tokens read\)", chat.locator(".measured").inner_text())
    assert read is not None and 0 < int(read[1]) < 30
    expect(chat.locator(".turn")).to_have_count(4)
    expect(chat.locator(".turn__who")).to_have_text(["You", "Model", "You", "Model"])
    chat.get_by_role("button", name="Clear").click()
    expect(chat.locator(".turn")).to_have_count(0)
    assert context(chat) == 0
    expect(chat.get_by_role("button", name="Explain gravity")).to_be_visible()


def test_stop_keeps_what_came_and_answer_again_replaces_it(chat: Page) -> None:
    let_answers_have(chat, 200)
    answer = send(chat, SEA)
    expect(answer.locator(".turn__text")).not_to_be_empty(timeout=ANSWERED)
    stop = chat.get_by_role("button", name="Stop", exact=True)
    stop.focus()
    chat.keyboard.press("Enter")
    expect_end(chat)
    expect(answer).to_contain_text("Stopped.")
    stopped = words(answer)
    assert stopped
    expect(field(chat)).to_be_focused()
    let_answers_have(chat, 24)
    chat.get_by_role("button", name="Answer again").click()
    expect(chat.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect_end(chat)
    expect(chat.locator(".turn")).to_have_count(2)
    again = words(answers(chat).last)
    assert again.startswith(stopped) and len(again) > len(stopped)
    expect(answers(chat).last).to_contain_text("Stopped at the longest answer allowed.")


def test_guessing_ahead_can_be_switched_off_and_answers_alike(chat: Page) -> None:
    fold = chat.locator("details", has=chat.get_by_text("How it picks its words"))
    guessed, said = list[int](), list[str]()
    for guessing in (True, False):
        fold.locator("summary").click()
        chat.get_by_role("checkbox", name="Guess ahead").set_checked(guessing)
        fold.locator("summary").click()
        said.append(words(ask(chat, "Tell me about cheese.")))
        guessed.append(
            chat.evaluate(
                "document.querySelector('pl-chat-panel').model.stats.generations.at(-1).accepted_tokens"
            )
        )
        chat.get_by_role("button", name="Clear").click()
    fold.locator("summary").click()
    chat.get_by_role("checkbox", name="Guess ahead").check()
    fold.locator("summary").click()
    assert said[0] == said[1]
    assert guessed[0] > 0 == guessed[1]


def test_html_is_text_whoever_writes_it(chat: Page, shared: Visit) -> None:
    answer = ask(chat, "Repeat exactly: <img src=x onerror=alert(1)>")
    assert "<img src=x onerror=alert(1)>" in words(answer)
    ask(chat, "<b>bold</b><script>alert(2)</script> Repeat it.")
    expect(chat.locator(".turn--user").last).to_contain_text("<b>bold</b><script>alert(2)</script>")
    assert chat.locator(".chat__log :is(img, b, script)").count() == 0
    assert not shared.errors


def test_the_words_are_portuguese_when_the_page_is(chat: Page) -> None:
    ask(chat, "What is gravity?")
    chat.get_by_role("button", name="Português").click()
    expect(chat.get_by_role("heading", name="Converse com ele")).to_be_visible()
    expect(chat.locator(".turn__who")).to_have_text(["Você", "Modelo"])
    expect(chat.locator(".chat__context")).to_contain_text("de 2.048 tokens de contexto")
    expect(answers(chat).last).to_contain_text("primeiro token após")
    expect(answers(chat).last).to_contain_text("Parou na resposta mais longa permitida.")
    expect(chat.get_by_label("Sua mensagem")).to_be_visible()
    ask(chat, "Olá! Escreva uma frase sobre o pão de açúcar. 🇧🇷")
    expect(chat.locator(".turn")).to_have_count(4)
    expect(chat.get_by_role("button", name="Responder de novo")).to_be_enabled()


def test_too_long_a_conversation_is_refused_and_can_be_edited(chat: Page) -> None:
    field(chat).focus()
    chat.keyboard.insert_text("word " * 3000)
    expect(chat.locator(".chat__attached")).to_contain_text("15,000 characters")
    chat.get_by_role("button", name="Send").click()
    alert = chat.get_by_role("alert")
    expect(alert).to_contain_text("longer than the model can read", timeout=ANSWERED)
    expect(chat.locator(".chat__failure > p")).to_contain_text(re.compile(r"30\d\d tokens.*2048"))
    chat.get_by_role("button", name="Edit my message").click()
    expect(chat.locator(".turn")).to_have_count(0)
    expect(chat.locator(".chat__attached")).to_be_visible()
    chat.get_by_role("button", name="Remove it").click()
    answer = ask(chat, "Hi!")
    assert words(answer)


def test_it_fits_a_narrow_page_and_can_be_read(chat: Page) -> None:
    chat.set_viewport_size({"width": 390, "height": 844})
    let_answers_have(chat, 8)
    send(chat, "a" * 300 + " 👩‍👩‍👧‍👦" * 20)
    expect_accessible(chat, "pl-chat-panel")  # while it answers
    expect_end(chat)
    for fold in chat.locator(".chat__fold > summary").all():
        fold.click()
    assert chat.evaluate("document.documentElement.scrollWidth") == 390
    expect_accessible_in_both_schemes(chat, "pl-chat-panel")
    for fold in chat.locator(".chat__fold > summary").all():
        fold.click()


def test_a_worker_that_dies_mid_answer_costs_no_words(chat: Page) -> None:
    """Nearly the last: it loads the model again."""
    first = words(ask(chat, "What is gravity?"))
    let_answers_have(chat, 200)
    answer = send(chat, SEA)
    expect(answer.locator(".turn__text")).not_to_be_empty(timeout=ANSWERED)
    chat.evaluate(KILL)
    expect(chat.get_by_role("alert")).to_contain_text("The model's worker stopped")
    expect(chat.locator(".turn--user")).to_have_text(
        [re.compile("What is gravity"), re.compile("the sea")]
    )
    assert words(answers(chat).first) == first
    assert words(answer)
    expect_accessible(chat, "pl-chat-panel")
    let_answers_have(chat, 16)
    chat.get_by_role("button", name="Start it again").click()
    expect(chat.locator(".chat__failure")).to_contain_text("Starting the model again")
    expect(chat.locator(".chat__failure")).to_have_count(0, timeout=READY)
    expect_end(chat)
    expect(chat.locator(".turn")).to_have_count(4)
    assert words(answers(chat).first) == first
    expect(answers(chat).last).to_contain_text("16 tokens")
    assert words(ask(chat, "And then?"))


def test_another_model_takes_its_place(chat: Page, shared: Visit, isolated_site: str) -> None:
    """Last: the chat model is let go."""
    chat.get_by_role("radio", name=re.compile("MiniLM")).check()
    expect(chat.locator("pl-chat-panel")).to_have_count(0)
    expect(chat).to_have_url(re.compile(r"\?model=minilm-l6"))
    expect(chat.get_by_role("button", name=re.compile("Download"))).to_be_enabled()
    chat.get_by_role("radio", name=re.compile("SmolLM2")).check()
    expect(chat).to_have_url(re.compile(ID))
    shared.expect_clean(isolated_site)
