"""In place of Pyodide's event loop, which nothing here runs in (``pesoleve_worker/work.py``): with
asyncio, it is a third of what Python does before it is ready."""

# A snapshot's JS objects are numbered as Pyodide's own modules import them.
from pyodide_js._api import scheduleCallback  # noqa: F401


def _initialize_event_loop() -> None:
    """Called once, when ``pyodide`` is imported: there is nothing to do."""
