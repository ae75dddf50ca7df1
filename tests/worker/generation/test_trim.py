from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import InputError
from pesoleve_worker.generation.trim import trim_oldest

Message = dict[str, str]


def chat(script: str) -> list[Message]:
    """``s1 u2 a3`` is a system, a user's and an assistant's message; contents tell them apart."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[word[0]], "content": word} for word in script.split()]


def size(messages: list[Message]) -> int:
    return 10 * len(messages)


@pytest.mark.parametrize(
    ("script", "limit", "left"),
    [
        ("s u1 a1 u2 a2 u3", 60, "s u1 a1 u2 a2 u3"),
        ("s u1 a1 u2 a2 u3", 59, "s u2 a2 u3"),
        ("s u1 a1 u2 a2 u3", 39, "s u3"),
        ("a0 u1 a1 u2", 30, "u1 a1 u2"),
        ("u1 a1 s u2 a2", 30, "s u2 a2"),
        ("u1 u2 u3", 20, "u2 u3"),
    ],
)
def test_the_oldest_turns_go(script: str, limit: int, left: str) -> None:
    messages = chat(script)
    assert trim_oldest(messages, size, limit) == chat(left)
    assert messages == chat(script)


@pytest.mark.parametrize("script", ["s u1", "s u1 a1 u2", "u1", "s", ""])
def test_a_last_message_that_does_not_fit_is_named(script: str) -> None:
    def count(messages: list[Message]) -> int:
        return 100 + size(messages)

    with pytest.raises(InputError, match="5 fit") as caught:
        trim_oldest(chat(script), count, 5)
    assert caught.value.code == "prompt_too_long"


@given(st.lists(st.sampled_from("sua"), max_size=12), st.integers(0, 120))
def test_what_is_left_fits_and_keeps_system_and_last_user(roles: list[str], limit: int) -> None:
    messages = chat(" ".join(f"{role}{number}" for number, role in enumerate(roles)))
    try:
        left = trim_oldest(messages, size, limit)
    except InputError:
        spoken = [at for at, role in enumerate(roles) if role != "s"]
        users = [at for at in spoken if roles[at] == "u"] or spoken[:1]
        kept = [
            at for at, role in enumerate(roles) if role == "s" or (at in spoken and at >= users[-1])
        ]
        assert 10 * len(kept) > limit
        return
    assert size(left) <= limit
    systems = [message for message in messages if message["role"] == "system"]
    assert [message for message in left if message["role"] == "system"] == systems
    users_said = [message for message in messages if message["role"] == "user"]
    assert all(message in left for message in users_said[-1:])
    spoken_left = [message for message in left if message["role"] != "system"]
    spoken_all = [message for message in messages if message["role"] != "system"]
    assert spoken_left == spoken_all[len(spoken_all) - len(spoken_left) :]
