"""Coroutines that JS takes from one promise to the next, without an event loop between."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Promised:
    """Awaits a JS promise by handing it to whoever runs the coroutine: see ``Work``.

    Args:
        later: a JS object whose ``promise`` it is. Pyodide makes a future of its event loop of every
            promise that a function returns to Python, and cannot without one.
    """

    def __init__(self, later: Any) -> None:
        self._later = later

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self._later)


class Work:
    """A message's coroutine, which JS takes from one promise to the next.

    Pyodide's event loop would do it too, at 0.7 ms a call and 0.3 ms an await, which is as long as a
    small model computes; and asyncio is a third of what Python imports before it is ready.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def resume(self, value: Any = None) -> Any:
        """Go on with what the promise before gave; return the next, or in the end the answer."""
        try:
            return self._coroutine.send(value)
        except StopIteration as end:
            return end.value

    def fail(self, error: Any) -> Any:
        """Go on with why the promise before was rejected; return as ``resume``."""
        try:
            return self._coroutine.throw(error)
        except StopIteration as end:
            return end.value


class Turn:
    """A lock of JS promises: held by one coroutine at a time, in the order they asked.

    Args:
        with_resolvers: JS's ``Promise.withResolvers``.
    """

    def __init__(self, with_resolvers: Callable[[], Any]) -> None:
        self._with_resolvers = with_resolvers
        self._last: Any = None
        self._held: Any = None

    async def __aenter__(self) -> None:
        before, mine = self._last, self._with_resolvers()
        self._last = mine
        if before is not None:
            await Promised(before)
        self._held = mine

    async def __aexit__(self, *_raised: object) -> None:
        held, self._held = self._held, None
        if self._last is held:
            self._last = None
        held.resolve(None)
