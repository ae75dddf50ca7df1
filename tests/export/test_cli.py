from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pesoleve import cli
from pesoleve.catalog import CATALOG, read
from pesoleve.errors import ExportError
from pesoleve_worker import __version__
from tests.export.workshop import Work, Workshop
from tests.tiny_recipe import write_recipe


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    workshop: Workshop,
) -> Run:
    """Run ``pesoleve`` with these arguments in an empty directory, over the tests' cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PESOLEVE_CACHE", str(workshop.cache))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run_command(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["pesoleve", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, told.out, told.err)

    return run_command


@pytest.fixture
def recipe(workshop: Workshop, first_build: Work, tmp_path: Path) -> Path:
    del first_build  # it is in the cache
    return write_recipe(tmp_path / "tiny.toml", workshop.model)


def test_the_installed_command_lists_its_commands() -> None:
    command = Path(sys.executable).with_name("pesoleve")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    for name in ("build", "check", "serve"):
        assert f" {name} " in done.stdout


def test_the_version_is_the_workers(run: Run) -> None:
    assert run("version").out.strip() == __version__


def test_help_of_build_names_the_bundled_recipes(run: Run) -> None:
    told = run("build", "-h")
    assert told.code == 0
    assert "minilm-l6" in told.out


def test_build_writes_the_catalog_and_shows_a_table(run: Run, recipe: Path, tmp_path: Path) -> None:
    told = run("build", recipe, "--out", "models")
    assert told.code == 0
    assert "q4 (default)" in told.out
    assert f"Wrote {Path('models') / CATALOG}" in told.err
    assert [model.id for model in read(tmp_path / "models").models] == ["tiny-bert"]


def test_building_again_says_that_nothing_changed(run: Run, recipe: Path) -> None:
    run("build", recipe, "--out", "models")
    assert "Nothing changed" in run("build", recipe, "--out", "models").err


def test_build_in_json_is_json_alone(run: Run, recipe: Path) -> None:
    first = json.loads(run("build", recipe, "--out", "models", "--json").out)
    second = json.loads(run("build", recipe, "--out", "models", "--json").out)
    assert first["changed"] is True
    assert (second["changed"], second["stages_run"]) == (False, 0)
    assert first["models"] == second["models"]
    assert first["models"][0]["title"]["pt-BR"] == "Miúdo: de frases a vetores"


def test_check_in_json_is_json_alone(run: Run, models: Path) -> None:
    told = run("check", "--out", models, "--json")
    assert told.code == 0
    rows = json.loads(told.out)
    assert [row["dtype"] for row in rows] == ["fp32", "q8", "q4"]
    assert all(row["canary_difference"] <= row["tolerance"] for row in rows)


def test_check_shows_a_table(run: Run, models: Path) -> None:
    told = run("check", "--out", models)
    assert told.code == 0
    assert "canary off by" in told.out
    assert "tiny-bert" in told.out


def test_seeds_are_of_recipes_that_train(run: Run, recipe: Path) -> None:
    told = run("seeds", recipe)
    assert told.code == 2
    assert "is no recipe of the lab" in told.err
    told = run("seeds", "sentiment-sparse")
    assert told.code == 2
    assert "no step of sentiment-sparse trains" in told.err


def test_each_kind_of_error_has_its_own_exit_code() -> None:
    kinds: list[type[ExportError]] = [ExportError, *ExportError.__subclasses__()]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "ExportError": 1,
        "RecipeError": 2,
        "SourceError": 3,
        "QualityError": 4,
        "CheckError": 5,
        "BudgetError": 6,
    }


def test_an_unknown_recipe_exits_2_with_a_suggestion(run: Run) -> None:
    told = run("build", "minilm-l7")
    assert told.code == 2
    assert "did you mean 'minilm-l6'?" in told.err
    assert told.out == ""


def test_a_source_that_is_not_there_exits_3(run: Run, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "lost.toml", "nowhere")
    told = run("build", recipe, "--out", "models")
    assert told.code == 3
    assert "there is no directory" in told.err
    assert not (tmp_path / "models").exists()


def test_a_bound_that_is_not_met_exits_4_and_leaves_the_catalog(
    run: Run, workshop: Workshop, first_build: Work, models: Path, tmp_path: Path
) -> None:
    rows = [row for row in first_build.built.model.quality if row.metric == "spearman"]
    loser = next(row for row in rows if row.dtype != "fp32" and row.value < row.reference_value)
    block = {"q8": "block_size = 64", "q4": "block_size = 32"}[loser.dtype]
    change = (f"{block}\nmax_loss = 1", f"{block}\nmax_loss = 0")
    before = (models / CATALOG).read_bytes()
    told = run("build", write_recipe(tmp_path / "r.toml", workshop.model, change), "--out", models)
    assert told.code == 4
    assert f"dtypes.{loser.dtype}.max_loss" in told.err
    assert (models / CATALOG).read_bytes() == before


def test_an_empty_folder_fails_its_check_with_5(run: Run) -> None:
    told = run("check", "--json")
    assert told.code == 5
    assert "Run: pesoleve build" in told.err
    assert told.out == ""


def test_a_site_without_a_page_exits_1(run: Run) -> None:
    told = run("serve")
    assert told.code == 1
    assert "no index.html" in told.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [("serv", "serv"), ("build --jsn", "--jsn"), ("serve --port http", "--port")],
)
def test_a_wrong_argument_exits_2_and_is_named(run: Run, arguments: str, named: str) -> None:
    told = run(*arguments.split())
    assert told.code == 2
    assert named in told.err


def test_an_interruption_says_what_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt(name)

    monkeypatch.setattr(cli, "load_recipe", interrupt)
    told = run("build", "minilm-l6")
    assert told.code == 130
    assert "last good catalog is untouched" in told.err


def test_a_message_is_printed_as_it_is_whatever_it_holds(
    run: Run, workshop: Workshop, tmp_path: Path
) -> None:
    change = ('id = "tiny-bert"', 'id = "Tiny BERT"')
    told = run("build", write_recipe(tmp_path / "bad.toml", workshop.model, change))
    assert told.code == 2
    assert "^[a-z0-9][a-z0-9.-]*$" in told.err


def test_a_path_in_brackets_is_printed_as_it_is(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "[" / "old]"
    folder.mkdir(parents=True)
    told = run("check", "--out", folder)
    assert told.code == 5
    assert str(folder) in told.err
