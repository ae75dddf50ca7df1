"""Coroutines that JS takes from one promise to the next, without an event loop between."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Promised:
    """Awaits a JS promise by handing it to whoever runs the coroutine: see ``Work``."""

    def __init__(self, promise: Any) -> None:
        self._promise = promise

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self._promise)


class Work:
    """A message's coroutine, which JS takes from one promise to the next.

    Pyodide's event loop would do it too, at 0.7 ms a call and 0.3 ms an await, which is as long as a
    small model computes.
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
