"""A coroutine taken from promise to promise, as ``site/worker/pyodide_runtime.js`` takes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pesoleve_worker.work import Promised, Work


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


def test_a_lock_that_is_taken_is_waited_for_by_its_future() -> None:
    """Python's own future comes out in place of a promise; the page awaits that too."""
    lock = asyncio.Lock()

    async def hold(promise: str) -> str:
        async with lock:
            return str(await Promised(promise))

    async def both() -> list[Any]:
        first, second = Work(hold("a")), Work(hold("b"))
        assert first.resume() == "a"
        waiting = second.resume()
        assert isinstance(waiting, asyncio.Future) and not waiting.done()
        done = [first.resume("A")]
        assert await waiting is True
        assert second.resume(True) == "b"
        return [*done, second.resume("B")]

    assert asyncio.run(both()) == ["A", "B"]
