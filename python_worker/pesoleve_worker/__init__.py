"""The Python that runs in the page: pipelines, catalog, sizes and errors.

Standard library only. The same files run in Pyodide (3.14), in pytest and in the export (3.11+).
"""

__version__ = "0.1.0"
