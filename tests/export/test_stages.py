from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pesoleve.measurements import Measurements
from pesoleve.stages import Stage, Stages, default_cache
from tests import tiny_bert


class Counted:
    """Work that counts how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, output: Path) -> None:
        self.times += 1
        (output / "result").write_text(f"made {self.times}")


def run(stages: Stages, work: Callable[[Path], None], **depends_on: Any) -> Stage:
    return stages.run("step", "do the step", work, code=(tiny_bert,), depends_on=depends_on)


def test_a_stage_runs_once(tmp_path: Path) -> None:
    stages, work = Stages(tmp_path), Counted()
    first, second = run(stages, work, bits=4), run(stages, work, bits=4)
    assert first == second
    assert (work.times, stages.ran) == (1, 1)
    assert (first.output / "result").read_text() == "made 1"


def test_another_process_finds_what_was_done(tmp_path: Path) -> None:
    work = Counted()
    run(Stages(tmp_path), work, bits=4)
    later = Stages(tmp_path)
    run(later, work, bits=4)
    assert (work.times, later.ran) == (1, 0)


def test_a_changed_dependency_runs_it_again_and_the_old_one_is_kept(tmp_path: Path) -> None:
    stages, work = Stages(tmp_path), Counted()
    four, eight = run(stages, work, bits=4), run(stages, work, bits=8)
    assert four.key != eight.key
    assert run(stages, work, bits=4) == four
    assert work.times == 2


def test_the_order_of_dependencies_does_not_matter(tmp_path: Path) -> None:
    stages, work = Stages(tmp_path), Counted()
    assert run(stages, work, a=1, b=2) == run(stages, work, b=2, a=1)


def test_stages_of_another_name_do_not_share(tmp_path: Path) -> None:
    stages, work = Stages(tmp_path), Counted()
    one = stages.run("one", "", work, code=(), depends_on={})
    two = stages.run("two", "", work, code=(), depends_on={})
    assert one.output != two.output
    assert work.times == 2


def test_changed_code_runs_it_again(tmp_path: Path) -> None:
    source = tmp_path / "maker_of_things.py"
    stages, work = Stages(tmp_path / "cache"), Counted()

    def key() -> str:
        return stages.run("step", "", work, code=(module_from(source),), depends_on={}).key

    source.write_text("x = 1\n")
    before = key()
    assert key() == before
    source.write_text("x = 2\n")
    assert key() != before
    assert work.times == 2


def module_from(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    return module


def test_failed_work_leaves_nothing_and_is_done_again(tmp_path: Path) -> None:
    stages, work = Stages(tmp_path), Counted()

    def fails(output: Path) -> None:
        (output / "half").write_text("half")
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        run(stages, fails, bits=4)
    assert list(tmp_path.iterdir()) == []
    stage = run(stages, work, bits=4)
    assert [path.name for path in stage.output.iterdir()] == ["result"]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(output: Path) -> None:
        (output / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Stages(tmp_path), interrupted, bits=4)
    assert list(tmp_path.iterdir()) == []


def test_another_build_that_finishes_the_stage_first_does_no_harm(tmp_path: Path) -> None:
    other = Counted()

    def overtaken(output: Path) -> None:
        (output / "result").write_text("mine")
        run(Stages(tmp_path), other, bits=4)

    stage = run(Stages(tmp_path), overtaken, bits=4)
    assert (stage.output / "result").is_file()
    assert list(tmp_path.iterdir()) == [stage.output]


def test_each_stage_is_reported_with_whether_it_was_there(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    stages = Stages(tmp_path, lambda label, cached: told.append((label, cached)))
    run(stages, Counted())
    run(stages, Counted())
    assert told == [("do the step", False), ("do the step", True)]


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PESOLEVE_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("PESOLEVE_CACHE")
    assert not default_cache().is_absolute()


class Measured:
    """A measurement that counts how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, float]:
        self.times += 1
        return {"accuracy": 0.5}


def measure(
    folder: Path, measurements: Measurements, work: Measured, content: str, dataset: str
) -> float:
    """Measure ``content`` in a build whose cache is empty; returns the accuracy."""
    stages = Stages(Path(tempfile.mkdtemp(dir=folder)), measurements=measurements)
    made = stages.run(
        "step",
        "write",
        lambda output: print(content, file=(output / "made").open("w")),
        code=(tiny_bert,),
        depends_on={"content": content},
    )
    accuracy: float = stages.measure(
        "measure",
        work,
        model_id="tiny",
        dtype="q4",
        of={"made": made},
        code=(tiny_bert,),
        depends_on={"dataset": dataset},
    )["accuracy"]
    return accuracy


def test_what_was_measured_of_the_same_bytes_is_not_measured_again(tmp_path: Path) -> None:
    kept, work = tmp_path / "kept", Measured()
    known = Measurements(folder=kept)
    assert measure(tmp_path, Measurements(keep=kept, folder=kept), work, "a", "movies") == 0.5
    assert measure(tmp_path, known, work, "a", "movies") == 0.5
    assert work.times == 1
    measure(tmp_path, known, work, "b", "movies")
    measure(tmp_path, known, work, "a", "products")
    assert work.times == 3
    measure(tmp_path, Measurements(again=True, folder=kept), work, "a", "movies")
    assert work.times == 4


def test_a_kept_measurement_stands_beside_the_others_of_its_model(tmp_path: Path) -> None:
    kept = Measurements(keep=tmp_path, folder=tmp_path)
    kept.record("tiny", "q8", "one", {"accuracy": 0.5})
    kept.record("tiny", "q4", "two", {"accuracy": 0.25})
    assert kept.recall("tiny", "q8", "one") == {"accuracy": 0.5}
    assert kept.recall("tiny", "q4", "two") == {"accuracy": 0.25}
    assert kept.recall("tiny", "q4", "one") is None
    assert kept.recall("other", "q4", "two") is None
