from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import Cancelled, InputError
from pesoleve_worker.pipelines.text_generation import Chat, Message, validate_messages
from tests.worker.generation.toy_decoder import EOS
from tests.worker.talker import USER, Pieces, Talker, TwoWays, pipeline, render, said

SAID = st.text("abcde", min_size=1, max_size=6)


class Stage:
    """A chat with a fresh decoder."""

    def __init__(self, context: int = 512, **decoder: Any) -> None:
        self.decoder = Talker(**decoder)
        self.chat = Chat(self.decoder, TwoWays(), render, pipeline(context))
        self.pieces = Pieces()

    def ask(self, messages: object, **options: object) -> dict[str, Any]:
        self.pieces = Pieces()
        self.decoder.fed.clear()
        return asyncio.run(self.chat.generate(messages, options, self.pieces))

    def by_hand(self, prompt: list[int], count: int) -> list[int]:
        """The likeliest tokens after ``prompt``, up to an EOS."""
        ids = list(prompt)
        while len(ids) < len(prompt) + count and (len(ids) == len(prompt) or ids[-1] != EOS):
            logits = self.decoder.logits_after(ids)
            ids.append(logits.index(max(logits)))
        return ids[len(prompt) :]


def test_an_answer_is_what_its_pieces_add_up_to() -> None:
    stage = Stage()
    result = stage.ask(said("abc"), max_new_tokens=12, log_probabilities=True)
    prompt = [USER, 0, 1, 2, EOS]
    assert result["token_ids"] == stage.pieces.ids == stage.by_hand(prompt, 12)
    assert result["text"] == stage.pieces.text == TwoWays().decode(result["token_ids"])
    assert result["log_probabilities"] == stage.pieces.log_probabilities
    assert len(result["log_probabilities"]) == 12
    assert result["finish_reason"] == "length"
    assert (result["prompt_tokens"], result["cached_tokens"]) == (5, 0)
    assert result["context"] == {"used": 5 + 12 - 1, "limit": 512}


def test_a_second_turn_feeds_only_what_is_new_though_its_text_reads_otherwise() -> None:
    stage = Stage()
    first = stage.ask(said("abc"), max_new_tokens=12)
    answer = first["token_ids"]
    assert TwoWays().encode(first["text"], special=False) != answer
    second = stage.ask(said("abc", first["text"], "de"), max_new_tokens=12)
    new = [EOS, USER, 3, 4, EOS]
    assert stage.decoder.fed[0] == [answer[-1], *new]
    assert second["cached_tokens"] == 5 + 12 - 1
    assert second["prompt_tokens"] == 5 + 12 + len(new)
    assert second["token_ids"] == stage.by_hand([USER, 0, 1, 2, EOS, *answer, *new], 12)


def test_an_answer_that_ended_itself_is_not_ended_twice() -> None:
    stage = Stage(eos_logit=3.0)
    first = stage.ask(said("abc"), max_new_tokens=50)
    assert first["finish_reason"] == "eos"
    assert first["token_ids"][-1] == EOS
    assert first["text"] == TwoWays().decode(first["token_ids"])
    stage.ask(said("abc", first["text"], "de"), max_new_tokens=1)
    assert stage.decoder.fed == [[EOS, USER, 3, 4, EOS]]


@given(st.lists(st.tuples(SAID, st.integers(1, 9), st.booleans()), min_size=1, max_size=5))
def test_every_turn_answers_as_if_all_were_fed_anew(turns: list[tuple[str, int, bool]]) -> None:
    """Some answers are changed before the next turn, and then nothing of them may be kept."""
    stage = Stage(eos_logit=2.5)
    conversation: list[str] = []
    for text, most, changed in turns:
        conversation.append(text)
        result = stage.ask(said(*conversation), max_new_tokens=most)
        prompt = stage.decoder.ids[: result["prompt_tokens"]]
        assert TwoWays().decode(prompt) == render(said(*conversation)).replace(".", "")
        assert result["token_ids"] == stage.by_hand(prompt, most)
        conversation.append("ea" if changed else result["text"])


def test_a_conversation_that_was_changed_is_read_anew() -> None:
    stage = Stage()
    first = stage.ask(said("abc"), max_new_tokens=6)
    stage.ask(said("abd", first["text"], "de"), max_new_tokens=1)
    assert stage.decoder.ids == TwoWays().encode(
        render(said("abd", first["text"], "de")), special=False
    )


def test_a_regenerated_answer_feeds_one_token_of_its_prompt() -> None:
    stage = Stage()
    first = stage.ask(said("abc"), max_new_tokens=6)
    again = stage.ask(said("abc"), max_new_tokens=6)
    assert again["token_ids"] == first["token_ids"]
    assert again["cached_tokens"] == again["prompt_tokens"] - 1


def test_a_cancelled_answer_goes_on_being_known() -> None:
    stage = Stage()
    pieces = Pieces()

    def check() -> None:
        if pieces.count == 4:
            raise Cancelled("aborted", "enough")

    with pytest.raises(Cancelled):
        asyncio.run(stage.chat.generate(said("abc"), {"max_new_tokens": 50}, pieces, check))
    result = stage.ask(said("abc", pieces.text, "de"), max_new_tokens=5)
    prompt = [USER, 0, 1, 2, EOS, *pieces.ids, EOS, USER, 3, 4, EOS]
    assert result["cached_tokens"] >= 5 + 4 - 1
    assert stage.decoder.ids[: result["prompt_tokens"]] == prompt
    assert result["token_ids"] == stage.by_hand(prompt, 5)


def test_a_stop_string_ends_the_answer_before_it() -> None:
    stage = Stage()
    whole = stage.ask(said("abc"), max_new_tokens=20)["text"]
    stop = whole[5:7]
    at = whole.index(stop)
    result = stage.ask(said("abc"), max_new_tokens=20, stop=[stop])
    assert (result["finish_reason"], result["text"]) == ("stop", whole[:at])
    assert stage.pieces.text == whole[:at]


def test_after_a_stop_string_the_next_turn_is_read_from_its_text() -> None:
    """The cache holds tokens whose text was never told."""
    stage = Stage()
    whole = stage.ask(said("abc"), max_new_tokens=20)["text"]
    stopped = stage.ask(said("abc"), max_new_tokens=20, stop=[whole[5:7]])
    messages = said("abc", stopped["text"], "de")
    stage.ask(messages, max_new_tokens=1)
    assert stage.decoder.ids == TwoWays().encode(render(messages), special=False)


def test_a_full_context_ends_the_answer() -> None:
    stage = Stage(context=12)
    result = stage.ask(said("abc"), max_new_tokens=50)
    assert result["finish_reason"] == "context"
    assert result["context"] == {"used": 12, "limit": 12}
    assert len(result["token_ids"]) == 12 - 5 + 1


LONG = said("abcde", "eeee", "abcde", "dddd", "abc")


def test_a_conversation_that_is_too_long_is_refused_without_trim() -> None:
    with pytest.raises(InputError) as caught:
        Stage(context=20).ask(LONG)
    assert caught.value.code == "prompt_too_long"


def test_trim_leaves_out_the_oldest_turns_and_makes_room_for_the_answer() -> None:
    stage = Stage(context=20)
    result = stage.ask(LONG, trim="oldest", max_new_tokens=4)
    prompt = stage.decoder.ids[: result["prompt_tokens"]]
    assert prompt == TwoWays().encode(render(LONG[4:]), special=False)  # 5 tokens; with LONG[2:], 17
    assert result["finish_reason"] == "length"


def test_trim_keeps_the_system_message() -> None:
    stage = Stage(context=20)
    result = stage.ask([{"role": "system", "content": "eee"}, *LONG], trim="oldest", max_new_tokens=4)
    prompt = stage.decoder.ids[: result["prompt_tokens"]]
    assert prompt == TwoWays().encode("eee.>abc.", special=False)


def test_a_long_answer_may_not_push_out_more_than_half_of_the_context() -> None:
    stage = Stage(context=40)
    kept = stage.ask(LONG, trim="oldest", max_new_tokens=1000)["prompt_tokens"]
    assert kept == len(render(LONG[2:]))


def test_trim_gives_up_when_the_last_message_alone_is_too_long() -> None:
    with pytest.raises(InputError) as caught:
        Stage(context=20).ask(said("abcde" * 4), trim="oldest")
    assert caught.value.code == "prompt_too_long"


def test_a_short_conversation_is_not_trimmed() -> None:
    assert Stage().ask(LONG, trim="oldest", max_new_tokens=1)["prompt_tokens"] == len(render(LONG))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": 3}, "no setting 'topk'; the nearest is 'top_k'"),
        ({"trim": "newest"}, "trim is 'oldest' or absent, not 'newest'"),
        ({"trim": True}, "trim is 'oldest' or absent, not True"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    stage = Stage()
    with pytest.raises(InputError, match=message) as caught:
        stage.ask(said("abc"), **options)
    assert caught.value.code == "input_invalid"
    assert stage.decoder.fed == []


USERS: Message = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("hi", "takes a list of messages"),
        (None, "takes a list of messages"),
        ([], "at least one"),
        ({"role": "user", "content": "hi"}, "takes a list of messages"),
        (["hi"], "message 0 should be {role, content}"),
        ([USERS, {"role": "user"}], "message 1 should be {role, content}"),
        ([{**USERS, "name": "x"}], "message 0 should be {role, content}"),
        ([{"role": "tool", "content": "hi"}], "message 0: role is one of .* not 'tool'"),
        ([{"role": ["user"], "content": "hi"}], "message 0: role is one of"),
        ([{"role": "user", "content": 3}], "message 0: content is int, not a string"),
        ([{"role": "user", "content": None}], "message 0: content is NoneType, not a string"),
        ([USERS, {"role": "assistant", "content": "hi"}], "the last message should be the user's"),
        ([{"role": "system", "content": "hi"}], "the last message should be the user's"),
        ([{"role": "user", "content": " \n"}], "the last message is empty"),
    ],
)
def test_messages_that_are_none_are_refused_with_what_is_wrong(messages: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        validate_messages(messages)
    assert caught.value.code == "input_invalid"


def test_good_messages_are_given_back_plain() -> None:
    messages = [{"role": "system", "content": ""}, USERS, {"role": "assistant", "content": ""}, USERS]
    assert validate_messages(tuple(messages)) == messages
