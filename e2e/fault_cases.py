"""The faults that downloads are tried with, and how each is to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from .faults import SHIFT, Fault

AT = 1_000_000
"""The byte of a shard at which things happen: about half of it."""

Plan = Callable[[str], list[Fault]]
"""For the path of a shard."""


@dataclass(frozen=True)
class Recovered:
    """All arrives in the end."""

    plan: Plan
    requests: int = 1
    """For the shard that it befell."""
    twice: Callable[[int], int] = lambda _: 0
    """Bytes of that shard that cross more than once, of so many."""
    waits: float = 0.0
    """Seconds at least between the first two requests."""


@dataclass(frozen=True)
class Refused:
    """The load ends in an error."""

    plan: Plan
    code: str
    retryable: bool = False
    requests: int = 1
    says: str = ""
    patience: dict[str, float] = field(default_factory=dict)


def in_three_pieces(path: str) -> list[Fault]:
    return [Fault("cut", path, after=AT // 2), Fault("cut", path, skip=1, after=AT)]


def in_two_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


def until_a_date(path: str) -> list[Fault]:
    return [Fault("status", path, status=503, retry_after=in_two_seconds)]


RECOVERED: dict[str, Recovered] = {
    "cut": Recovered(lambda path: [Fault("cut", path, after=AT)], requests=2),
    "cut twice": Recovered(in_three_pieces, requests=3),
    "stalled": Recovered(lambda path: [Fault("stall", path, after=AT)], requests=2),
    "stalled before a byte": Recovered(lambda path: [Fault("stall", path)], requests=2),
    "429, come back in 1 s": Recovered(
        lambda path: [Fault("status", path, status=429, retry_after=lambda: "1")], requests=2, waits=1.0
    ),
    "503 until a date": Recovered(until_a_date, requests=2, waits=0.9),
    "500 twice": Recovered(lambda path: [Fault("status", path, times=2, status=500)], requests=3),
    "slow": Recovered(lambda path: [Fault("slow", path, seconds=0.03)]),
    "wrong MIME type": Recovered(lambda path: [Fault("mime_type", path, value="text/html")]),
    "no isolation headers": Recovered(lambda path: [Fault("no_isolation", path)]),
    # What a stalled connection brought is with the page for certain: there is a range to ask for.
    "wrong range": Recovered(
        lambda path: [Fault("stall", path, after=AT), Fault("wrong_range", path, ranges=True)],
        requests=3,
        twice=lambda size: size + SHIFT,
    ),
    "wrong range that says it is right": Recovered(
        lambda path: [Fault("stall", path, after=AT), Fault("lying_range", path, ranges=True)],
        requests=3,
        twice=lambda size: size,
    ),
    "ignores ranges": Recovered(
        lambda path: [Fault("stall", path, after=AT), Fault("no_ranges", path, times=None)],
        requests=2,
        twice=lambda _: AT,
    ),
    "another ETag": Recovered(
        lambda path: [Fault("stall", path, after=AT), Fault("etag", path, value='"old"')],
        requests=2,
        twice=lambda _: AT,
    ),
    "weak ETag": Recovered(
        lambda path: [Fault("stall", path, after=AT), Fault("etag", path, value='W/"weak"')],
        requests=2,
    ),
}

REFUSED: dict[str, Refused] = {
    "corrupt byte": Refused(
        lambda path: [Fault("corrupt", path, times=None, after=AT)], "hash_mismatch", says="has sha256"
    ),
    "truncated, padded to length": Refused(
        lambda path: [Fault("padded", path, times=None, after=AT)], "hash_mismatch", says="has sha256"
    ),
    "truncated, right Content-Length": Refused(
        lambda path: [Fault("cut", path, times=None, after=AT)],
        "download_failed",
        retryable=True,
        requests=3,
        says="network error",
    ),
    "truncated": Refused(
        lambda path: [Fault("short", path, times=None, after=AT)],
        "file_truncated",
        says=f"ended after {AT} of",
    ),
    "stalled for good": Refused(
        lambda path: [Fault("stall", path, times=None, after=AT)],
        "download_failed",
        retryable=True,
        requests=2,
        says="no byte came for 1 s",
        patience={"attempts": 2},
    ),
    "404": Refused(
        lambda path: [Fault("status", path, times=None, status=404)],
        "download_failed",
        says="not where the catalog says",
    ),
    "429 for good": Refused(
        lambda path: [Fault("status", path, times=None, status=429, retry_after=lambda: "0")],
        "download_failed",
        retryable=True,
        requests=3,
        says="answered 429",
    ),
    "429, come back in 1 h": Refused(
        lambda path: [Fault("status", path, times=None, status=429, retry_after=lambda: "3600")],
        "download_failed",
        retryable=True,
        says="answered 429",
    ),
    "500 for good": Refused(
        lambda path: [Fault("status", path, times=None, status=500)],
        "download_failed",
        retryable=True,
        requests=3,
        says="answered 500",
    ),
    "a web page in its place": Refused(
        lambda path: [Fault("replaced", path, times=None, value="text/html", content=b"<p>Hi" * 99)],
        "file_truncated",
        says="web page in its place",
    ),
}

VARIANTS = {
    "cut twice",
    "stalled before a byte",
    "503 until a date",
    "wrong range that says it is right",
    "another ETag",
    "weak ETag",
    "429 for good",
    "429, come back in 1 h",
    "a web page in its place",
}
"""Of a fault that is tried at the first, a middle and the last shard: these at the middle one alone."""
