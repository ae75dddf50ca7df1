"""In place of Pyodide's installer of packages, of which none are installed: only what its JS asks for
when it starts. What it would import else can read every kind of archive."""

# A snapshot's JS objects are numbered as Pyodide's own modules import them.
from pyodide_js import loadedPackages  # noqa: F401


class Folder:
    """A path, as JS asks for it: by ``__str__``, which a string that reached it has not."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __str__(self) -> str:
        return self._path


SITE_PACKAGES = Folder("/lib/python3.14/site-packages")
DSO_DIR = Folder("/usr/lib")


def init_loaded_packages() -> None:
    """Tell JS which packages are there: none."""
