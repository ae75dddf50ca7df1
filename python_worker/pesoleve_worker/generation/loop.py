"""The generation loop: feed, choose, tell, until something ends it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..host import Tokenizer
from .conversation import Conversation
from .guesses import Guesses
from .ngrams import NO_HABITS, Ngrams
from .sampler import Chosen, choose
from .settings import GenerationSettings, candidate_count
from .stopping import FinishReason
from .transcript import OnToken, Transcript


@dataclass(frozen=True)
class Timings:
    """Seconds: from the start to the prompt's end, from the start to the first token chosen, and from
    that to the last. Decoding runs at (len(token_ids) - 1) / ``decode`` tokens a second."""

    prefill: float
    first_token: float
    decode: float


@dataclass(frozen=True)
class Generated:
    """``token_ids`` include an end-of-sequence token and those of a stop string; ``text`` does not.

    ``cached_tokens`` of the prompt needed no feeding. ``log_probabilities`` are natural and, if asked
    for, one a token. ``accepted_tokens`` are those that were guessed.
    """

    token_ids: list[int]
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    log_probabilities: list[float]
    accepted_tokens: int
    timings: Timings


async def generate(
    prompt_ids: Sequence[int],
    *,
    conversation: Conversation,
    tokenizer: Tokenizer,
    settings: GenerationSettings,
    eos_token_ids: Collection[int],
    context: int,
    on_token: OnToken,
    habits: Ngrams = NO_HABITS,
    told: Sequence[Chosen] = (),
    check_cancelled: Callable[[], None] = lambda: None,
    on_prefill: Callable[[int, int], None] = lambda _done, _total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Generated:
    """Continue ``prompt_ids``.

    Args:
        prompt_ids: the ids of the whole conversation; what of it the cache holds is not fed again.
        context: the most tokens the cache may hold. The last token generated is never fed.
        on_token: called whenever text is finished, and at the end if anything was not told.
        habits: what the model mostly says, to guess from.
        told: the answer's beginning, which ``on_token`` was told of before a failure. What follows is
            as if there had been none.
        check_cancelled: called before every chunk of the prompt and every token; raises to stop, and
            ``conversation`` can go on from there.
        on_prefill: called after every chunk of the prompt with (tokens fed, tokens to feed).
        clock: seconds from any origin.

    Raises:
        InputError: ``input_invalid`` without a prompt; ``prompt_too_long`` when it fills the context.
        SessionError, and whatever ``check_cancelled`` and the callbacks raise.
    """
    if not prompt_ids:
        raise InputError("input_invalid", "the prompt is empty")
    if len(prompt_ids) >= context:
        message = f"the prompt has {len(prompt_ids)} tokens; the context of {context} takes one less"
        raise InputError("prompt_too_long", message)
    ids = [*prompt_ids, *(chosen.token_id for chosen in told)]
    seen = set(ids)
    rng = random.Random(settings.seed)
    if not settings.greedy:
        for _ in told:
            rng.random()  # each was drawn with one
    # Each token is chosen as it would have been, by the same draw of the same numbers; what follows a
    # guess is of use when the guess was chosen.
    widest = conversation.widest if settings.speculative_decoding else 1
    guesses = Guesses(ids, habits) if widest > 1 else None
    transcript = Transcript(tokenizer, settings, eos_token_ids, on_token)
    transcript.replay(told)

    started = clock()
    prefilled = await conversation.prefill(
        ids,
        candidate_count(settings, len(seen)),
        check_cancelled=check_cancelled,
        on_prefill=on_prefill,
    )
    prefill_ended = first_chosen = clock()

    positions, proposal, accepted_tokens = [prefilled.candidates], list[int](), 0
    while True:
        accepted = 0
        for candidates, proposed in zip(positions, [*proposal, None], strict=True):
            check_cancelled()
            chosen = choose(candidates, settings, seen, rng)
            if not transcript.token_ids:
                first_chosen = clock()
            seen.add(chosen.token_id)
            if guesses:
                guesses.append(chosen.token_id)
            transcript.add(chosen)
            # What follows was computed after ``proposed``, and holds only if that was chosen.
            if transcript.finish_reason or chosen.token_id != proposed:
                break
            accepted += 1
        accepted_tokens += accepted
        if guesses:
            guesses.judge(accepted)
        conversation.truncate(conversation.length - len(proposal) + accepted)
        if not transcript.finish_reason and conversation.length >= context:
            transcript.finish("context")
        if transcript.finish_reason:
            break
        # Every guess takes a place in the cache beside the last token's, and may become a token
        # beside the one that follows it.
        room = min(widest - 1, context - conversation.length - 1, transcript.room - 1)
        proposal = guesses.propose(room) if guesses else []
        positions = await conversation.feed(
            [transcript.token_ids[-1], *proposal],
            candidate_count(settings, len(seen) + len(proposal)),
            keep=1 + len(proposal),
        )

    timings = Timings(prefill_ended - started, first_chosen - started, clock() - first_chosen)
    return Generated(
        token_ids=transcript.token_ids,
        text=transcript.text,
        finish_reason=transcript.finish_reason,
        prompt_tokens=len(prompt_ids),
        cached_tokens=prefilled.cached_tokens,
        log_probabilities=transcript.log_probabilities,
        accepted_tokens=accepted_tokens,
        timings=timings,
    )
