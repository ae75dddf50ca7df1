from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.errors import Cancelled, InputError, SessionError
from pesoleve_worker.generation.loop import Generated
from pesoleve_worker.generation.ngrams import ANY, Ngrams
from pesoleve_worker.host import Candidates
from tests.worker.generation.toy_decoder import (
    EOS,
    VOCABULARY,
    Letters,
    Stage,
    ToyDecoder,
    joined,
)

PROMPTS = st.lists(st.integers(0, VOCABULARY - 2), min_size=1, max_size=10)
ORDERS = st.sampled_from([1, 2, None])
PENALTIES = st.sampled_from([1.0, 1.3, 3.0])
STOPS = st.lists(st.text("abcdefg", min_size=1, max_size=3), max_size=2)


def greedy_by_hand(
    decoder: ToyDecoder, prompt: list[int], count: int, penalty: float = 1.0
) -> list[int]:
    """The textbook: the whole vocabulary, everything fed again for each token."""
    ids = list(prompt)
    for _ in range(count):
        logits = decoder.logits_after(ids)
        for token in set(ids):
            logits[token] = logits[token] * penalty if logits[token] < 0 else logits[token] / penalty
        ids.append(logits.index(max(logits)))
    return ids[len(prompt) :]


def assert_told_whole(stage: Stage, made: Generated) -> None:
    texts, ids, log_probabilities = zip(*stage.pieces, strict=True)
    assert "".join(texts) == made.text
    assert joined(ids) == made.token_ids
    assert [*itertools.chain.from_iterable(log_probabilities)] == made.log_probabilities
    assert all(texts[:-1])


@given(PROMPTS, ORDERS, PENALTIES)
def test_greedy_is_the_likeliest_of_the_whole_vocabulary(
    prompt: list[int], order: int | None, penalty: float
) -> None:
    stage = Stage(ToyDecoder(order))
    made = stage.play(prompt, max_new_tokens=15, repetition_penalty=penalty)
    assert made.token_ids == greedy_by_hand(stage.decoder, prompt, 15, penalty)
    assert made.finish_reason == "length"
    assert made.text == Letters().decode(made.token_ids)
    assert stage.decoder.ids == [*prompt, *made.token_ids[:-1]]
    assert_told_whole(stage, made)


TOKENS = st.integers(0, VOCABULARY - 1)
PAIRS = st.tuples(TOKENS | st.just(ANY), TOKENS)
HABITS = st.lists(st.tuples(PAIRS, TOKENS), max_size=60)


@given(
    PROMPTS,
    ORDERS,
    st.sampled_from([0, 0.5, 1.5]),
    PENALTIES,
    STOPS,
    st.integers(1, 40),
    st.integers(11, 40),
    HABITS,
    st.integers(1, 9),
)
def test_guessing_changes_nothing_but_how_often_the_model_is_fed(
    prompt: list[int],
    order: int | None,
    temperature: float,
    penalty: float,
    stop: list[str],
    most: int,
    context: int,
    habits: list[tuple[tuple[int, int], int]],
    widest: int,
) -> None:
    def played(guessing: bool) -> tuple[Stage, Generated]:
        stage = Stage(ToyDecoder(order, eos_logit=2.5), context)
        stage.decoder.widest = widest
        stage.habits = Ngrams(habits)
        made = stage.play(
            prompt,
            max_new_tokens=most,
            temperature=temperature,
            top_k=5,
            seed=7,
            repetition_penalty=penalty,
            stop=stop,
            speculative_decoding=guessing,
            log_probabilities=True,
        )
        return stage, made

    (plain_stage, plain), (stage, made) = played(False), played(True)
    for name in ("token_ids", "text", "finish_reason", "log_probabilities"):
        assert getattr(made, name) == getattr(plain, name)
    assert stage.pieces == plain_stage.pieces
    assert list(stage.conversation.ids) == stage.decoder.ids == plain_stage.decoder.ids
    assert len(plain_stage.decoder.fed) == len(stage.decoder.fed) + made.accepted_tokens
    assert stage.checks == plain_stage.checks
    assert plain.accepted_tokens == 0
    assert max(map(len, stage.decoder.fed[1:]), default=0) <= widest


@given(PROMPTS)
def test_guessing_feeds_less_often_where_text_repeats(prompt: list[int]) -> None:
    stage = Stage(ToyDecoder(order=1))
    made = stage.play(prompt, max_new_tokens=100, speculative_decoding=True)
    # One token decides the next: within the vocabulary's size the text goes round in circles.
    assert len(stage.decoder.fed) < 70
    assert made.accepted_tokens > 30
    assert made.token_ids == greedy_by_hand(stage.decoder, prompt, 100)


@pytest.mark.parametrize(
    ("most", "context", "longest", "reason"),
    [(200, 60, 60, "context"), (50, 4096, 3 + 50 - 1, "length")],
)
def test_guesses_that_could_not_be_used_are_not_fed(
    most: int, context: int, longest: int, reason: str
) -> None:
    lengths = []

    class Watched(ToyDecoder):
        async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
            lengths.append(self.length + len(ids))
            return await super().feed(ids, top_k, keep)

    stage = Stage(Watched(order=1), context)
    made = stage.play([3, 4, 5], max_new_tokens=most, speculative_decoding=True)
    assert made.finish_reason == reason
    assert made.accepted_tokens > 0
    assert max(lengths) == longest


def test_habits_are_guessed_where_nothing_was_said_before() -> None:
    decoder = ToyDecoder(order=1)
    said = greedy_by_hand(decoder, [0], 4)
    assert len({0, *said[:3]}) == 4, "nothing that looking up could find"
    stage = Stage(decoder)
    stage.habits = Ngrams(((ANY, first), after) for first, after in itertools.pairwise([0, *said]))
    made = stage.play([0], max_new_tokens=4)
    assert made.token_ids == said
    assert stage.decoder.fed == [[0], said[:2], [said[2]]]
    assert made.accepted_tokens == 1


def test_a_device_that_takes_tokens_one_by_one_is_not_guessed_for() -> None:
    stage = Stage(ToyDecoder(order=1))
    stage.decoder.widest = 1
    made = stage.play([3, 4, 5], max_new_tokens=50)
    assert made.accepted_tokens == 0
    assert [len(ids) for ids in stage.decoder.fed] == [3] + [1] * 49


@given(PROMPTS, PROMPTS, st.booleans())
def test_a_second_turn_feeds_only_what_is_new(
    first: list[int], second: list[int], guessing: bool
) -> None:
    stage = Stage(ToyDecoder(order=None))
    one = stage.play(first, max_new_tokens=6, speculative_decoding=guessing)
    said = [*first, *one.token_ids]
    two = stage.play([*said, *second], max_new_tokens=6, speculative_decoding=guessing)
    fresh = Stage(ToyDecoder(order=None)).play([*said, *second], max_new_tokens=6)
    assert two.token_ids == fresh.token_ids
    # The last token of the first turn was chosen, never fed.
    assert stage.decoder.fed[0] == [one.token_ids[-1], *second]
    assert two.cached_tokens == len(said) - 1
    assert two.prompt_tokens == len(said) + len(second)
    assert fresh.cached_tokens == 0


@given(PROMPTS, st.integers(1, 30), ORDERS, st.booleans())
def test_a_cancel_at_any_token_leaves_a_cache_to_go_on_from(
    prompt: list[int], cancel_at: int, order: int | None, guessing: bool
) -> None:
    stage = Stage(ToyDecoder(order))
    stage.cancel_at = cancel_at
    with pytest.raises(Cancelled):
        stage.play(prompt, max_new_tokens=40, speculative_decoding=guessing)
    assert list(stage.conversation.ids) == stage.decoder.ids
    told = joined(ids for _, ids, _ in stage.pieces)
    # The first check is the prompt's, the second comes before the first token.
    assert len(told) == max(0, cancel_at - 2)
    stage.cancel_at = None
    again = stage.play(prompt, max_new_tokens=40, speculative_decoding=guessing)
    assert again.token_ids == greedy_by_hand(stage.decoder, prompt, 40)
    assert again.token_ids[: len(told)] == told


@pytest.mark.parametrize("feeds", [0, 1, 5])
def test_after_a_failed_run_the_next_call_starts_anew(feeds: int) -> None:
    fed = itertools.count()

    class Failing(ToyDecoder):
        async def feed(self, ids: Sequence[int], top_k: int, keep: int = 1) -> list[Candidates]:
            self.failing = next(fed) == feeds
            return await super().feed(ids, top_k, keep)

    stage = Stage(Failing())
    with pytest.raises(SessionError):
        stage.play([1, 2, 3], max_new_tokens=9)
    assert stage.conversation.ids == ()
    made = stage.play([1, 2, 3], max_new_tokens=9)
    assert made.cached_tokens == 0
    assert made.token_ids == greedy_by_hand(stage.decoder, [1, 2, 3], 9)


def test_an_end_of_sequence_token_ends_it_without_text() -> None:
    stage = Stage(ToyDecoder(eos_logit=3.5))
    made = stage.play([0, 1], max_new_tokens=200)
    assert made.finish_reason == "eos"
    assert made.token_ids.index(EOS) == len(made.token_ids) - 1
    assert made.text == Letters().decode(made.token_ids[:-1])
    assert_told_whole(stage, made)


@given(PROMPTS, st.integers(0, 12), st.integers(1, 3), st.booleans())
def test_a_stop_string_of_several_tokens_ends_it_and_is_not_told(
    prompt: list[int], start: int, size: int, guessing: bool
) -> None:
    stage = Stage(ToyDecoder())
    whole = Letters().decode(greedy_by_hand(stage.decoder, prompt, 20))
    stop = whole[start : start + size]
    made = stage.play(prompt, stop=[stop], max_new_tokens=20, speculative_decoding=guessing)
    at = whole.index(stop)
    assert made.finish_reason == "stop"
    assert made.text == whole[:at]
    assert Letters().decode(made.token_ids) == whole[: at + size]
    assert_told_whole(stage, made)


def test_text_held_back_for_a_stop_string_is_told_at_the_end() -> None:
    stage = Stage(ToyDecoder())
    whole = Letters().decode(greedy_by_hand(stage.decoder, [4], 10))
    made = stage.play([4], stop=[whole[6:10] + "!"], max_new_tokens=10)
    assert made.text == whole
    assert [(text, len(ids)) for text, ids, _ in stage.pieces][-1] == (whole[6:], 4)
    assert made.finish_reason == "length"


@pytest.mark.parametrize("guessing", [False, True])
def test_a_full_context_ends_it(guessing: bool) -> None:
    stage = Stage(ToyDecoder(order=1), context=30)
    made = stage.play([1, 2, 3, 4], speculative_decoding=guessing)
    assert made.finish_reason == "context"
    # The last token needs no place in the cache.
    assert 4 + len(made.token_ids) == 31
    assert len(stage.decoder.ids) == 30
    assert_told_whole(stage, made)


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers() -> None:
    stage = Stage(ToyDecoder(), context=8)
    with pytest.raises(InputError, match=r"\b9\b.*\b8\b") as caught:
        stage.play([1] * 9)
    assert caught.value.code == "prompt_too_long"
    with pytest.raises(InputError):
        stage.play([1] * 8)
    assert len(stage.play([1] * 7).token_ids) == 2


def test_no_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        Stage(ToyDecoder()).play([])


@given(PROMPTS, st.integers(0, 2**53 - 1), PENALTIES)
def test_a_seed_reproduces(prompt: list[int], seed: int, penalty: float) -> None:
    def played() -> list[int]:
        stage = Stage(ToyDecoder())
        settings = {"temperature": 1.5, "top_p": 0.9, "repetition_penalty": penalty}
        return stage.play(prompt, seed=seed, max_new_tokens=12, **settings).token_ids

    assert played() == played()


def test_other_seeds_give_other_tokens() -> None:
    made = {
        tuple(Stage(ToyDecoder()).play([1], temperature=1, seed=seed, max_new_tokens=8).token_ids)
        for seed in range(20)
    }
    assert len(made) > 15


def test_sampling_without_a_seed_draws_afresh() -> None:
    random.seed(0)
    made = {
        tuple(Stage(ToyDecoder()).play([1], temperature=2, max_new_tokens=20).token_ids)
        for _ in range(5)
    }
    assert len(made) > 1


def test_log_probabilities_are_the_models_own() -> None:
    stage = Stage(ToyDecoder())
    settings = {"temperature": 2, "seed": 3, "repetition_penalty": 1.5, "max_new_tokens": 10}
    made = stage.play([1, 2], log_probabilities=True, **settings)
    ids = [1, 2]
    for token, found in zip(made.token_ids, made.log_probabilities, strict=True):
        logits = stage.decoder.logits_after(ids)
        assert found == pytest.approx(logits[token] - math.log(math.fsum(map(math.exp, logits))))
        ids.append(token)
    assert_told_whole(stage, made)
    assert stage.play([1, 2], **settings).log_probabilities == []


def test_progress_of_the_prompt_comes_before_any_text() -> None:
    stage = Stage(ToyDecoder())
    stage.play([1] * 300, max_new_tokens=1)
    assert stage.prefills == [(128, 300), (256, 300), (300, 300)]


def test_timings_are_spans_of_the_clock() -> None:
    now = itertools.count(100.0, 1.0)
    stage = Stage(ToyDecoder())
    stage.clock = lambda: next(now)
    made = stage.play([1, 2], max_new_tokens=5)
    timings = made.timings
    assert (timings.prefill, timings.first_token, timings.decode) == (1.0, 2.0, 1.0)
