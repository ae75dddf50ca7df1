"""Every error a page can receive, as one tree with stable codes.

PesoLeveError
├── CatalogError            catalog_unavailable · catalog_invalid · model_unknown · option_invalid
├── DownloadError           download_failed · file_truncated · hash_mismatch · insecure_context
├── RuntimeStartError       runtime_failed
├── SessionError            session_failed · device_unavailable · canary_mismatch · run_failed
├── InputError              input_invalid · prompt_too_long
├── Cancelled               aborted
└── WorkerError             worker_died · not_loaded · protocol_error · internal

Python raises those it meets; the page (``site/js/errors.js``) raises the rest under the same codes.
A code is a promise: it is never renamed, and each has a sentence in every locale.
"""

from __future__ import annotations

import traceback
from typing import ClassVar, TypedDict


class ErrorReport(TypedDict):
    """What crosses from the worker to the page when something failed."""

    code: str
    message: str
    phase: str
    retryable: bool
    traceback: str


class PesoLeveError(Exception):
    """Base of the tree. ``message`` is for developers; the page words it for people by ``code``."""

    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        if code not in self.codes:
            raise ValueError(f"{type(self).__name__} has no code {code!r}; it has {self.codes}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class CatalogError(PesoLeveError):
    """The catalog cannot be had or used, or does not hold what was asked for."""

    codes = ("catalog_unavailable", "catalog_invalid", "model_unknown", "option_invalid")


class DownloadError(PesoLeveError):
    """A file did not arrive, or did not arrive whole and unchanged."""

    codes = ("download_failed", "file_truncated", "hash_mismatch", "insecure_context")


class RuntimeStartError(PesoLeveError):
    """Python or ONNX Runtime did not start."""

    codes = ("runtime_failed",)


class SessionError(PesoLeveError):
    """A device could not open the model, answered wrongly, or failed while running it."""

    codes = ("session_failed", "device_unavailable", "canary_mismatch", "run_failed")


class InputError(PesoLeveError):
    """What the caller passed to ``run`` is not what the task takes."""

    codes = ("input_invalid", "prompt_too_long")


class Cancelled(PesoLeveError):
    """The caller cancelled the work."""

    codes = ("aborted",)


class WorkerError(PesoLeveError):
    """The worker is gone, not ready, or was spoken to wrongly."""

    codes = ("worker_died", "not_loaded", "protocol_error", "internal")


TREE: tuple[type[PesoLeveError], ...] = (
    CatalogError,
    DownloadError,
    RuntimeStartError,
    SessionError,
    InputError,
    Cancelled,
    WorkerError,
)
CODES: tuple[str, ...] = tuple(code for branch in TREE for code in branch.codes)


def report(error: BaseException, phase: str) -> ErrorReport:
    """Describe any exception for the page; one outside the tree is ``internal``."""
    known = isinstance(error, PesoLeveError)
    return {
        "code": error.code if isinstance(error, PesoLeveError) else "internal",
        "message": error.message
        if isinstance(error, PesoLeveError)
        else f"{type(error).__name__}: {error}",
        "phase": phase,
        "retryable": error.retryable if isinstance(error, PesoLeveError) else False,
        "traceback": "" if known else "".join(traceback.format_exception(error)),
    }
