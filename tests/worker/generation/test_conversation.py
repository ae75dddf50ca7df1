from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import Cancelled, SessionError
from pesoleve_worker.generation.conversation import PREFILL_CHUNK, Conversation
from pesoleve_worker.host import Candidates
from tests.worker.generation.toy_decoder import ToyDecoder, joined

IDS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(st.lists(IDS, min_size=2, max_size=4))
def test_any_prompts_in_turn_answer_as_if_fed_whole(prompts: list[list[int]]) -> None:
    decoder = ToyDecoder()
    conversation = Conversation(decoder)
    before: list[int] = []
    for ids in prompts:
        decoder.fed.clear()
        prefilled = asyncio.run(conversation.prefill(ids, 5))
        assert prefilled.candidates == decoder.after(ids, 5)
        assert list(conversation.ids) == decoder.ids == ids
        new = next((at for at in range(len(ids) - 1) if before[at : at + 1] != [ids[at]]), len(ids) - 1)
        assert prefilled.cached_tokens == new
        assert joined(decoder.fed) == ids[new:]
        before = ids


def test_a_long_prompt_goes_in_chunks_with_progress() -> None:
    decoder = ToyDecoder()
    conversation = Conversation(decoder)
    asyncio.run(conversation.prefill([1, 2, 3, 4], 1))
    decoder.fed.clear()
    progress: list[tuple[int, int]] = []
    ids = [1, 2, 3] + [5] * (2 * PREFILL_CHUNK + 7)
    asyncio.run(conversation.prefill(ids, 1, on_prefill=lambda *step: progress.append(step)))
    assert list(map(len, decoder.fed)) == [PREFILL_CHUNK, PREFILL_CHUNK, 7]
    assert progress == [(128, 263), (256, 263), (263, 263)]


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_cancel_between_chunks_keeps_those_fed(chunks: int) -> None:
    decoder = ToyDecoder()
    conversation = Conversation(decoder)
    ids = [token % 11 for token in range(3 * PREFILL_CHUNK)]

    def check() -> None:
        if len(decoder.fed) == chunks:
            raise Cancelled("aborted", "enough")

    with pytest.raises(Cancelled):
        asyncio.run(conversation.prefill(ids, 1, check_cancelled=check))
    assert list(conversation.ids) == decoder.ids == ids[: chunks * PREFILL_CHUNK]
    assert asyncio.run(conversation.prefill(ids, 3)).candidates == decoder.after(ids, 3)
    assert joined(decoder.fed) == ids


def test_after_a_failure_everything_is_fed_again() -> None:
    decoder = ToyDecoder()
    conversation = Conversation(decoder)
    asyncio.run(conversation.prefill([1, 2, 3], 1))
    decoder.failing = True
    with pytest.raises(SessionError):
        asyncio.run(conversation.prefill([1, 2, 3, 4], 1))
    assert conversation.ids == ()
    decoder.failing = False
    decoder.fed.clear()
    prefilled = asyncio.run(conversation.prefill([1, 2, 3, 4], 2))
    assert decoder.fed == [[1, 2, 3, 4]]
    assert prefilled.candidates == decoder.after([1, 2, 3, 4], 2)


def test_what_somebody_else_fed_is_not_trusted() -> None:
    decoder = ToyDecoder()
    asyncio.run(decoder.feed([9, 9], 1))
    conversation = Conversation(decoder)
    assert asyncio.run(conversation.prefill([9, 9, 1], 2)).cached_tokens == 0
    assert decoder.ids == [9, 9, 1]
    asyncio.run(decoder.feed([4], 1))
    assert asyncio.run(conversation.prefill([9, 9, 1, 5], 2)).cached_tokens == 0
    assert decoder.ids == [9, 9, 1, 5]


def test_a_long_prompts_room_is_made_before_its_first_chunk() -> None:
    """A cache that grows chunk after chunk is copied as often."""
    reserved = []

    class Noting(ToyDecoder):
        async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
            reserved.append(self.reserved)
            return await super().feed(ids, top_k, keep)

    prompt = [1] * (2 * PREFILL_CHUNK + 1)
    asyncio.run(Conversation(Noting()).prefill(prompt, 1))
    assert reserved == [len(prompt)] * 3


def test_where_there_is_no_room_everything_is_fed_again() -> None:
    class Full(ToyDecoder):
        async def reserve(self, tokens: int) -> None:
            if tokens > 3:
                raise SessionError("run_failed", "no memory for a KV cache")

    decoder = Full()
    conversation = Conversation(decoder)
    asyncio.run(conversation.prefill([1, 2], 1))
    with pytest.raises(SessionError, match="no memory"):
        asyncio.run(conversation.prefill([1, 2, 3, 4], 1))
    assert conversation.ids == ()
    decoder.fed.clear()
    assert asyncio.run(conversation.prefill([1, 2, 3], 2)).cached_tokens == 0
    assert decoder.fed == [[1, 2, 3]]


def test_a_failed_truncate_forgets() -> None:
    class Stuck(ToyDecoder):
        def truncate(self, length: int) -> None:
            if length:
                raise SessionError("run_failed", "lost the device")
            super().truncate(length)

    decoder = Stuck()
    conversation = Conversation(decoder)
    asyncio.run(conversation.prefill([1, 2, 3], 1))
    with pytest.raises(SessionError):
        conversation.truncate(2)
    assert conversation.ids == ()
    assert asyncio.run(conversation.prefill([1, 2], 3)).candidates == decoder.after([1, 2], 3)
