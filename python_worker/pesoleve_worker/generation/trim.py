"""Making a long conversation fit by leaving out its oldest turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..errors import InputError

MessageT = TypeVar("MessageT", bound=Mapping[str, object])


def trim_oldest(
    messages: Sequence[MessageT], count: Callable[[list[MessageT]], int], limit: int
) -> list[MessageT]:
    """Return ``messages`` without as many of the oldest turns as it takes to fit.

    A turn is a user's message with all up to the next user's: chat templates want roles to alternate.
    System messages stay wherever they are, and so does the last turn.

    Args:
        messages: mappings with at least ``role``.
        count: the tokens of a conversation, as the chat template renders it; asked once a turn.
        limit: the most tokens that fit.

    Raises:
        InputError: ``prompt_too_long`` when even the last turn alone does not fit.
    """
    left = list(messages)
    size = count(left)
    while size > limit:
        oldest = _oldest_turn(left)
        if not oldest:
            message = f"the last message has {size} tokens with all it needs; {limit} fit"
            raise InputError("prompt_too_long", message)
        left = [message for index, message in enumerate(left) if index not in oldest]
        size = count(left)
    return left


def _oldest_turn(messages: Sequence[MessageT]) -> set[int]:
    """Return where the oldest turn's messages are; empty when it is the last turn."""
    spoken = [index for index, message in enumerate(messages) if message["role"] != "system"]
    # What an assistant says before any user is a turn of its own.
    starts = [index for index in spoken if messages[index]["role"] == "user" or index == spoken[0]]
    return {index for index in spoken if index < starts[1]} if len(starts) > 1 else set()
