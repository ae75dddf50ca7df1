"""The chat model through the public module, on WASM: every token, piece and error of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser

from pesoleve_worker.catalog import Model

from .chat import ID, Chat, assistant, open_chat, user
from .native_chat import NativeChat
from .server import SITE
from .visit import Visit

PROMPTS = (
    "What is gravity?",
    "Write a haiku about the sea.",
    "Explique o que é a gravidade para uma criança de seis anos.",
    "Escreva uma frase com açúcar, coração e maçã. 🇧🇷",
    "List three emojis like these: 😀🎉👩‍👩‍👧‍👦❤️",
)
SEA = "Tell me a long story about the sea."
EMOJI = "Repeat exactly this line, again and again: 🎉🎊🎈 🇧🇷 ❤️ 🎉🎊🎈 🇧🇷 ❤️ 🎉🎊🎈"
FOX = "Repeat this text word for word: 'The quick brown fox jumps over the lazy dog.'"


@pytest.fixture(scope="module")
def page_visit(browser: Browser, isolated_site: str) -> Iterator[Visit]:
    """One page for all tests here: a load takes a while."""
    with browser.new_page() as page:
        visit = Visit(page)
        visit.open_blank(isolated_site)
        yield visit


@pytest.fixture(scope="module")
def chat(page_visit: Visit) -> Chat:
    return open_chat(page_visit)


def test_greedy_answers_are_cpythons(chat: Chat, models: dict[str, Model]) -> None:
    """Token for token, over the very files that the page fetched."""
    # In a thread of its own: Playwright's event loop holds this one.
    with ThreadPoolExecutor(1) as pool:
        native = pool.submit(NativeChat, models[ID], SITE / "models").result()
        expected = [pool.submit(native.greedy, prompt, 48).result() for prompt in PROMPTS]
    answers = [chat.ask(prompt, max_new_tokens=48) for prompt in PROMPTS]
    assert [answer.ids for answer in answers] == expected
    assert {answer.result["device"] for answer in answers} == {"wasm"}
    assert [answer.result["prompt_tokens"] for answer in answers] == list(map(native.count, PROMPTS))


def test_what_is_told_adds_up(chat: Chat) -> None:
    answer = chat.ask(SEA, max_new_tokens=24)
    assert "".join(piece["text"] for piece in answer.pieces) == answer.text
    assert [i for piece in answer.pieces for i in piece["token_ids"]] == answer.ids
    assert len(answer.ids) == 24
    assert answer.result["finish_reason"] == "length"
    assert answer.result["log_probabilities"] == []
    told = answer.result["prompt_tokens"] - answer.result["cached_tokens"]
    assert answer.prefill == [[told, told]]
    used = answer.result["prompt_tokens"] + len(answer.ids) - 1  # the last is never fed
    assert answer.result["context"] == {"used": used, "limit": 2048}
    timings = answer.result["timings"]
    assert 0 < timings["prefill"] <= timings["first_token"]
    assert timings["first_token"] + timings["decode"] <= answer.seconds


def test_a_seed_repeats_itself_and_another_does_not(chat: Chat) -> None:
    drawn = {"max_new_tokens": 24, "temperature": 0.8, "top_p": 0.9}
    first, again, other = (chat.ask(SEA, seed=seed, **drawn).ids for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_two_turns_are_one_conversation(chat: Chat, page_visit: Visit) -> None:
    """What the cache kept of the first turn is worth what reading it all again is."""
    first = chat.ask("What is the capital of Brazil?", max_new_tokens=32)
    turns = [
        user("What is the capital of Brazil?"),
        assistant(first.text),
        user("E qual é o maior rio? 🐟"),
    ]
    second = chat.generate(turns, max_new_tokens=32)
    assert second.result["cached_tokens"] >= first.result["context"]["used"] > 0
    assert second.result["prompt_tokens"] - second.result["cached_tokens"] < 40
    fresh = open_chat(page_visit, "second")
    whole = fresh.generate(turns, max_new_tokens=32)
    fresh.dispose()
    assert whole.result["cached_tokens"] == 0
    assert whole.result["prompt_tokens"] == second.result["prompt_tokens"]
    assert whole.ids == second.ids


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "seed": 11}], ids=["greedy", "drawn"])
def test_guessing_changes_nothing_but_the_time(chat: Chat, options: dict[str, Any]) -> None:
    plain = chat.ask(FOX, max_new_tokens=40, speculative_decoding=False, **options)
    guessed = chat.ask(FOX, max_new_tokens=40, **options)
    assert "quick brown fox" in plain.text
    assert guessed.ids == plain.ids
    assert plain.result["accepted_tokens"] == 0
    assert guessed.result["accepted_tokens"] > 0


def test_the_models_habits_are_guessed_where_nothing_is_repeated(chat: Chat) -> None:
    answer = chat.ask("Tell me about cheese.", max_new_tokens=32)
    assert answer.result["accepted_tokens"] >= 4


def test_characters_are_never_split(chat: Chat) -> None:
    answer = chat.ask(EMOJI, max_new_tokens=36)
    pieces = [piece["text"] for piece in answer.pieces]
    assert answer.text.count("🎉") >= 3
    assert len(answer.ids) > 2 * len(pieces), "each of these characters takes several tokens"
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) == answer.text


def test_a_character_cut_off_by_the_limit_spoils_no_other(chat: Chat) -> None:
    whole = chat.ask(EMOJI, max_new_tokens=36)
    cut = chat.ask(EMOJI, max_new_tokens=35)
    assert cut.ids == whole.ids[:35]
    assert "".join(piece["text"] for piece in cut.pieces) == cut.text
    assert cut.text.rstrip("\ufffd") == whole.text[:-1]


def test_stop_strings_end_the_answer_before_themselves(chat: Chat) -> None:
    plain = chat.ask(SEA, max_new_tokens=24)
    middle = len(plain.text) // 2
    stop = plain.text[middle : middle + 7]
    stopped = chat.ask(SEA, max_new_tokens=24, stop=["never said", stop])
    assert stopped.text == plain.text[: plain.text.index(stop)]
    assert stopped.result["finish_reason"] == "stop"
    assert "".join(piece["text"] for piece in stopped.pieces) == stopped.text


def test_a_cancel_stops_within_a_token_and_keeps_the_cache(chat: Chat) -> None:
    answer = chat.ask(SEA, max_new_tokens=200, abort_after=3)
    assert answer.error["code"] == "aborted"
    asked = [i for piece in answer.pieces[:3] for i in piece["token_ids"]]
    assert len(asked) <= len(answer.received) <= len(asked) + 1
    again = chat.ask(SEA, max_new_tokens=8)
    assert again.ids[:3] == answer.received[:3]
    assert again.result["cached_tokens"] == again.result["prompt_tokens"] - 1


def test_a_cancel_during_a_long_prompt_stops_it(chat: Chat) -> None:
    """And not the worker: it goes on with what it has read."""
    long = user("word " * 900)
    cancelled = chat.visit.run_module(
        """const { name, messages } = argument;
           const model = globalThis.models[name];
           const abort = new AbortController();
           const told = [];
           const answer = model.generate(messages, {
             signal: abort.signal,
             onPrefill: (loaded, total) => { told.push([loaded, total]); abort.abort(); },
           });
           const code = await answer.next().then(() => 'answered', (error) => error.code);
           return { code, told };""",
        {"name": chat.name, "messages": [long]},
    )
    assert cancelled["code"] == "aborted"
    assert len(cancelled["told"]) <= 2
    assert cancelled["told"][-1][0] < cancelled["told"][-1][1]
    after = chat.ask("Hi!", max_new_tokens=2)
    assert len(after.ids) >= 1


def test_leaving_the_loop_cancels_the_rest(chat: Chat) -> None:
    left = chat.visit.run_module(
        """const { name, messages } = argument;
           const pieces = [];
           const answer = globalThis.models[name].generate(messages, { max_new_tokens: 500 });
           for await (const { text } of answer) {
             pieces.push(text);
             if (pieces.length === 2) break;
           }
           return pieces;""",
        {"name": chat.name, "messages": [user(SEA)]},
    )
    assert len(left) == 2
    after = chat.ask(SEA, max_new_tokens=4)
    assert after.text.startswith("".join(left)[:1])
    assert after.seconds < 10, "it waits for 500 tokens"


def test_a_conversation_that_is_too_long_is_refused_with_both_numbers(chat: Chat) -> None:
    answer = chat.ask("word " * 3000, max_new_tokens=4)
    assert answer.error["code"] == "prompt_too_long"
    assert "3031 tokens" in answer.error["message"] and "2048" in answer.error["message"]


def test_trim_leaves_out_the_oldest_and_answers(chat: Chat) -> None:
    turns = [user("word " * 2500), assistant("Indeed."), user("What is gravity?")]
    assert chat.generate(turns, max_new_tokens=4).error["code"] == "prompt_too_long"
    trimmed = chat.generate(turns, max_new_tokens=12, trim="oldest")
    alone = chat.ask("What is gravity?", max_new_tokens=12)
    assert trimmed.ids == alone.ids
    assert trimmed.result["prompt_tokens"] == alone.result["prompt_tokens"] < 100


@pytest.mark.parametrize(
    "text", ["word " * 210_000, "a" * 1_000_000, "é😀" * 250_000, "\n" * 1_000_000 + "."]
)  # fmt: skip
def test_a_megabyte_is_refused_and_nothing_freezes(chat: Chat, text: str) -> None:
    answer = chat.ask(text, max_new_tokens=4)
    assert answer.error["code"] == "prompt_too_long"
    assert answer.seconds < 30
    assert answer.longest_gap < 1000, "milliseconds that the page stood still"
    assert len(chat.ask("Still there?", max_new_tokens=2).ids) == 2


@pytest.mark.parametrize(
    ("messages", "options", "says"),
    [
        ([], {}, "at least one"),
        ("Hi", {}, "list of messages"),
        (None, {}, "list of messages"),
        ([user("")], {}, "empty"),
        ([user(" \n\t ")], {}, "empty"),
        ([{"role": "pirate", "content": "Arr"}], {}, "pirate"),
        ([{"role": "user"}], {}, "message 0"),
        ([{"role": "user", "content": 7}], {}, "not a string"),
        ([user("Hi"), assistant("Hello")], {}, "user's"),
        ([user("Hi")], {"temperature": -1}, "temperature"),
        ([user("Hi")], {"temperature": "hot"}, "temperature"),
        ([user("Hi")], {"top_p": 1.5}, "top_p"),
        ([user("Hi")], {"top_k": 0.5}, "top_k"),
        ([user("Hi")], {"max_new_tokens": 0}, "max_new_tokens"),
        ([user("Hi")], {"seed": -1}, "seed"),
        ([user("Hi")], {"stop": ""}, "stop"),
        ([user("Hi")], {"stop": [""]}, "stop"),
        ([user("Hi")], {"speculative_decoding": 1}, "speculative_decoding"),
        ([user("Hi")], {"topP": 0.9}, "top_p"),
        ([user("Hi")], {"trim": "newest"}, "trim"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(
    chat: Chat, messages: Any, options: dict[str, Any], says: str
) -> None:
    answer = chat.generate(messages, **options)
    assert answer.error["code"] == "input_invalid"
    assert says in answer.error["message"]
    assert answer.pieces == []


def test_log_probabilities_when_asked(chat: Chat) -> None:
    answer = chat.ask(SEA, max_new_tokens=12, log_probabilities=True)
    figures = answer.result["log_probabilities"]
    assert len(figures) == len(answer.ids) == 12
    assert all(math.isfinite(figure) and figure <= 0 for figure in figures)
    assert [f for piece in answer.pieces for f in piece["log_probabilities"]] == figures


def test_run_is_not_for_a_model_that_talks(chat: Chat) -> None:
    refused = chat.visit.run_module(
        "await globalThis.models[argument].run(['a sentence']); return null;", chat.name
    )
    assert refused["error"]["code"] == "not_loaded"


def test_nothing_went_wrong_in_all_this(chat: Chat, isolated_site: str) -> None:
    """Last: no error on the console, and no request to anywhere else."""
    chat.visit.expect_clean(isolated_site)
