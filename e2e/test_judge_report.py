"""The judge's table says what was measured, whoever it flatters."""

from __future__ import annotations

from typing import Any

import pytest

from .bench.judge_cases import CHAT, Case, cases, shapes
from .bench.judge_page import Seen
from .bench.judge_page import report as report_of_page
from .bench.judge_report import pairs, report


def judged(
    predicted: float, got: float, *, megabits: int | None = None, slower: int = 1
) -> dict[str, Any]:
    case = {
        "id": CHAT, "device": "wasm", "dtype": "q4", "threads": 2,
        "slower": slower, "megabits": megabits,
    }  # fmt: skip
    figures = ("download", "load", "first_token", "tokens_per_second", "memory")
    told = {
        name: {"low": 0.5 * predicted, "value": predicted, "high": 2 * predicted} for name in figures
    }
    return {
        "case": case, "predicted": told, "measured": dict.fromkeys(figures, got), "closer": None,
        "closer_measured": None, "rates": {}, "probe": 0.3, "first_sentences": 1.5 * got,
    }  # fmt: skip


ROWS = [judged(1, 1), judged(1.1, 1), judged(4, 1, slower=4), judged(3, 2, megabits=20)]
LIMITS = {"id": CHAT, "device": "wasm", "limit_mb": 300, "code": "session_failed"}
FITTED = [
    LIMITS | {"verdict": "yes", "loaded": False},
    LIMITS | {"verdict": "tight", "loaded": False},
    LIMITS | {"verdict": "no", "loaded": True, "code": ""},
    LIMITS | {"verdict": "no", "loaded": False},
]


@pytest.fixture
def told() -> str:
    results = {"fitted": FITTED, "judged": ROWS, "cases": 309}
    return report(results, {(CHAT, "wasm", "q4"): "one shape"})


def test_errors_intervals_and_what_nobody_could_know(told: str) -> None:
    # 0, 10, 300 and 50 % off: the third is outside of its interval. The first two are alike, and equal.
    assert "| ready, s | 4 | 30% | 20% | 75% | 90% | 0% |" in told
    assert "| download, s | 1 | 50% | 10% | 100% | 90% |  |" in told  # only where there is a network
    assert "4 of 309 loads" in told


def test_what_sentences_and_the_probe_take(told: str) -> None:
    assert "took 1.5 times as long" in told
    assert "slowed 1: 300 ms (300 at most), slowed 4: 300 ms (300 at most)" in told


def test_a_false_yes_is_counted(told: str) -> None:
    assert "4 loads, 2 false “yes”, 1 false “no”" in told


def test_each_load_is_a_row(told: str) -> None:
    assert (
        f"| {CHAT} | q4 | wasm | 2 | 1 | 20 | 3 → 2 | 3 → 2 | 3 → 2 | 3 → 2 | 3e-06 → 2e-06 |" in told
    )


def test_no_surrogate_is_judged_where_none_was_timed() -> None:
    assert list(pairs({"judged": ROWS}, "load", "closer")) == []


def test_every_built_model_on_every_thread_cpu_and_connection() -> None:
    found = list(cases())
    assert len(found) == len(set(found))
    models = {(id, device) for id, device, _ in dict(shapes()) if device != "webgpu"}
    for id, device in models:
        conditions = {
            (case.threads, case.slower, case.megabits)
            for case in found
            if (case.id, case.device) == (id, device)
        }
        assert conditions >= {
            (threads, slower, megabits)
            for threads in (1, 2) for slower in (1, 2, 4) for megabits in (None, 20, 100)
        }  # fmt: skip
    assert {case.dtype for case in found} >= {"fp32", "q3", "q4"}
    assert Case("minilm-l6", "wasm", "q4", 2, 1, 5) in found


def seen(predicted: float, got: float, later: float) -> Seen:
    told = {"low": 0.5 * predicted, "value": predicted, "high": 2 * predicted}
    pairs = (
        {
            "predicted": {"load": told, "first_token": told},
            "measured": {"load": got, "first_token": answer},
        }
        for answer in (got, later)
    )
    return Seen("minilm-l6", "q4", None, 1, False, *pairs)


def test_what_the_page_says_is_judged_as_it_says_it() -> None:
    told = report_of_page([seen(1, 1.25, 1), seen(1, 4, 2)])
    assert "| ready, s | 2 | 48% | 50% |" in told
    assert "| a sentence after typing, s | 2 | 25% | 100% |" in told
    assert "| first, this machine | 1 |  | 1 → 4 * | 1 → 4 * |  |  | 1 → 2 |" in told
