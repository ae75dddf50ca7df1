"""A coroutine taken from promise to promise, as ``site/worker/pyodide_runtime.js`` takes it."""

from __future__ import annotations

import pytest

from pesoleve_worker.work import Promised, Turn, Work


async def add(first: str, second: str) -> str:
    return str(await Promised(first)) + str(await Promised(second))


def test_each_promise_is_handed_over_and_the_answer_last() -> None:
    work = Work(add("one", "two"))
    assert work.resume() == "one"
    assert work.resume("1") == "two"
    assert work.resume("2") == "12"


def test_what_waits_for_nothing_answers_at_once() -> None:
    async def nothing() -> int:
        return 7

    assert Work(nothing()).resume() == 7


async def forgiving() -> str:
    try:
        await Promised("first")
    except ConnectionError as error:
        return f"after {error}: {await Promised('second')}"
    raise AssertionError("the first promise was to be rejected")


def test_a_rejection_is_raised_where_it_was_awaited() -> None:
    work = Work(forgiving())
    assert work.resume() == "first"
    assert work.fail(ConnectionError("a cut")) == "second"
    assert work.resume("well") == "after a cut: well"


def test_what_is_not_caught_reaches_the_caller() -> None:
    work = Work(add("one", "two"))
    work.resume()
    with pytest.raises(ConnectionError):
        work.fail(ConnectionError("a cut"))


class Resolvers:
    """JS's: ``resolve`` is seen here, and goes on with nobody, as a test does that itself."""

    def __init__(self) -> None:
        self.kept = False

    def resolve(self, _value: None) -> None:
        self.kept = True


async def hold(turn: Turn, promise: str) -> str:
    async with turn:
        return str(await Promised(promise))


def test_who_comes_second_waits_for_the_turn() -> None:
    turn = Turn(Resolvers)
    works = [Work(hold(turn, name)) for name in "abc"]
    assert works[0].resume() == "a"
    waiting = [work.resume() for work in works[1:]]
    assert all(isinstance(promise, Resolvers) and not promise.kept for promise in waiting)
    assert works[0].resume("A") == "A"
    assert [promise.kept for promise in waiting] == [True, False]
    assert works[1].resume() == "b"
    assert works[1].resume("B") == "B"
    assert waiting[1].kept
    assert works[2].resume() == "c"
    assert works[2].resume("C") == "C"
    assert Work(hold(turn, "d")).resume() == "d"


def test_a_turn_is_given_back_by_what_fails() -> None:
    turn = Turn(Resolvers)
    failing, next_one = Work(hold(turn, "a")), Work(hold(turn, "b"))
    failing.resume()
    waiting = next_one.resume()
    with pytest.raises(ConnectionError):
        failing.fail(ConnectionError("a cut"))
    assert waiting.kept
    assert next_one.resume() == "b"
