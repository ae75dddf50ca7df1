"""What a caller may set about a generation, and how many candidates that needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from ..errors import InputError

MOST_CANDIDATES = 1024
"""The most candidates asked of the model at one position: bounds what is copied and sorted a token."""

MOST_STOPS = 64
LONGEST_STOP = 256
"""Characters. Stop strings hold text back, so they bound how late a piece may be shown."""


@dataclass(frozen=True)
class GenerationSettings:
    """Named and meant as in transformers' ``GenerationConfig``; a temperature of 0 is greedy.

    ``top_k`` 0, ``top_p`` 1, ``min_p`` 0 and ``repetition_penalty`` 1 do nothing.
    ``speculative_decoding`` changes nothing but the time, where the device takes several tokens at once
    for little more than one.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    speculative_decoding: bool = True
    log_probabilities: bool = False

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


_INTEGERS = {
    "max_new_tokens": (1, 1_000_000),
    "top_k": (0, MOST_CANDIDATES),
    # A page's numbers are exact up to here, and random.Random takes -1 for 1.
    "seed": (0, 2**53 - 1),
}
_NUMBERS = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "min_p": (0, 1),
    # Below 1 it would reward repetition, and candidate_count would no longer hold.
    "repetition_penalty": (1, 10),
}
_KEYS = tuple(field.name for field in fields(GenerationSettings))


def parse_settings(values: Mapping[str, object]) -> GenerationSettings:
    """Return the settings that ``values`` give, with defaults for the rest.

    Raises:
        InputError: ``input_invalid``, naming the key, the value and the range; for an unknown key,
            the nearest known one.
    """
    return GenerationSettings(**{key: _parse(key, value) for key, value in values.items()})  # type: ignore[arg-type]


def candidate_count(settings: GenerationSettings, seen: int) -> int:
    """Return how many raw candidates a position needs, at most ``MOST_CANDIDATES``.

    It does not know the vocabulary: a decoder asked for more than it has gives what it has.

    Args:
        seen: how many distinct tokens the repetition penalty falls on.

    A penalty >= 1 only ever lowers seen tokens. A token that is among the first k afterwards has
    before it in the raw order fewer than k tokens that stay ahead of it, and some seen ones: so it is
    among the raw first k + ``seen``. (This takes the model to break ties by the lowest id, as
    ``choose`` does.) Where ``MOST_CANDIDATES`` cuts this short, a token from beyond could be missed.
    """
    wanted = 1 if settings.greedy else settings.top_k or MOST_CANDIDATES
    if settings.repetition_penalty != 1:
        wanted += seen
    return min(wanted, MOST_CANDIDATES)


def _parse(key: str, value: object) -> object:
    if key in _INTEGERS:
        if key == "seed" and value is None:
            return None
        return _ranged(key, value, _INTEGERS[key], whole=True)
    if key in _NUMBERS:
        return float(_ranged(key, value, _NUMBERS[key], whole=False))
    if key == "stop":
        return _stops(value)
    if key in _KEYS:
        if not isinstance(value, bool):
            raise _invalid(key, value, "true or false")
        return value
    # A key from JavaScript may be topP, or no string at all.
    import difflib  # for who mistypes: everybody else need not wait for it

    near = difflib.get_close_matches(str(key).lower(), _KEYS, n=1, cutoff=0.0)
    raise InputError("input_invalid", f"there is no setting {key!r}; the nearest is {near[0]!r}")


def _ranged(key: str, value: object, bounds: tuple[int, int], *, whole: bool) -> int | float:
    low, high = bounds
    if (
        not isinstance(value, int if whole else (int, float))
        or isinstance(value, bool)  # which is an int to Python
        or not low <= value <= high  # as NaN is not
    ):
        number = "a whole number" if whole else "a number"
        raise _invalid(key, value, f"{number} from {low} to {high}")
    return value


def _stops(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise _invalid("stop", value, "a list of strings")
    if len(value) > MOST_STOPS:
        raise _invalid("stop", f"{len(value)} strings", f"at most {MOST_STOPS} strings")
    for text in value:
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_STOP:
            raise _invalid("stop", text, f"made of strings of 1 to {LONGEST_STOP} characters")
    return tuple(value)


def _invalid(key: str, value: object, wanted: str) -> InputError:
    given = repr(value)
    if len(given) > 60:
        given = given[:60] + "…"
    return InputError("input_invalid", f"{key} is {given}; it must be {wanted}")
