"""Export a model, make it smaller, weigh it to the byte, and say what each step cost."""

from pesoleve_worker import __version__

__all__ = ["__version__"]
