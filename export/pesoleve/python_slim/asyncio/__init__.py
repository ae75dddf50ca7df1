"""In place of asyncio, which Pyodide's core imports to await promises in an event loop: here JS itself
takes coroutines from promise to promise (``pesoleve_worker/work.py``)."""


def get_event_loop() -> None:
    """Say why a JS function that returns a promise cannot be called as it is."""
    raise RuntimeError("there is no event loop: await Promised(later(object, 'method'))")
