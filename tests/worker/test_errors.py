from __future__ import annotations

import re
from collections import Counter

import pytest

from pesoleve_worker import errors
from pesoleve_worker.errors import CODES, TREE, InputError, PesoLeveError, SessionError, report


def test_every_code_belongs_to_exactly_one_class() -> None:
    owners = Counter(code for branch in TREE for code in branch.codes)
    assert [code for code, count in owners.items() if count > 1] == []
    assert sorted(owners) == sorted(CODES)


def test_the_tree_holds_every_class_and_every_class_has_a_code() -> None:
    assert set(TREE) == set(PesoLeveError.__subclasses__())
    assert all(branch.codes for branch in TREE)


def test_the_docstring_draws_the_tree_that_is_there() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +(.+)", errors.__doc__ or ""))
    assert {name: tuple(codes.split(" · ")) for name, codes in drawn.items()} == {
        branch.__name__: branch.codes for branch in TREE
    }


@pytest.mark.parametrize("branch", TREE)
def test_a_class_takes_its_own_codes_and_refuses_all_others(branch: type[PesoLeveError]) -> None:
    for code in CODES:
        if code in branch.codes:
            assert branch(code, "said").code == code
        else:
            with pytest.raises(ValueError, match=code):
                branch(code, "said")


def test_the_base_class_has_no_code_of_its_own() -> None:
    with pytest.raises(ValueError, match="internal"):
        PesoLeveError("internal", "said")


def test_report_carries_a_known_error_without_a_traceback() -> None:
    error = SessionError("run_failed", "out of memory", retryable=True)
    assert report(error, "run") == {
        "code": "run_failed",
        "message": "out of memory",
        "phase": "run",
        "retryable": True,
        "traceback": "",
    }


def test_an_error_is_not_retryable_unless_it_says_so() -> None:
    assert report(InputError("input_invalid", "no"), "run")["retryable"] is False


def test_report_of_a_foreign_exception_is_internal_and_keeps_where_it_came_from() -> None:
    def fails() -> None:
        raise KeyError("lost")

    try:
        fails()
    except KeyError as error:
        told = report(error, "load")
    assert told["code"] == "internal"
    assert told["message"] == "KeyError: 'lost'"
    assert told["phase"] == "load"
    assert told["retryable"] is False
    assert "in fails" in told["traceback"]
