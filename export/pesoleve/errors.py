"""What can go wrong in the export. Each error says what was wrong and what to do."""

from __future__ import annotations


class ExportError(Exception):
    """Base of the export's errors; the CLI prints ``str(error)`` and exits with ``exit_code``."""

    exit_code = 1


class RecipeError(ExportError):
    """A recipe cannot be read or is not valid."""

    exit_code = 2


class SourceError(ExportError):
    """Weights or data cannot be had, or are not whole."""

    exit_code = 3


class QualityError(ExportError):
    """A dtype fell further below its reference than the recipe allows."""

    exit_code = 4


class CheckError(ExportError):
    """What was built is not what the catalog says."""

    exit_code = 5


class BudgetError(ExportError):
    """Nothing is as small as was asked for."""

    exit_code = 6
