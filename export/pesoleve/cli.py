"""The ``pesoleve`` command: thin; every line of logic is elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pesoleve_worker import __version__

from . import show
from .errors import ExportError
from .recipe import bundled, load_recipe
from .stages import default_cache

app = typer.Typer(
    help="Is this model light enough for your visitors' browsers? Shrink it, weigh it, serve it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
errors = Console(stderr=True)
SITE = Path("site")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Models = Annotated[Path, typer.Option("--out", help="Where the catalog and the models go.")]


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


@app.command()
def build(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(help=f"Recipes: paths, or names of: {', '.join(bundled())}. Default: all."),
    ] = None,
    out: Models = SITE / "models",
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            help="Train, or count, again what is kept: the lab's weights, a chat model's habits.",
        ),
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure what was measured of the same bytes too."),
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(help="A directory to keep trained weights and measurements in.")
    ] = None,
    json_: Json = False,
) -> None:
    """Export, reduce, measure and pack models, and write the catalog."""
    from . import catalog, frontier
    from .build import build_recipe, stage_count
    from .measurements import Measurements
    from .stages import Stages

    try:
        wanted = [load_recipe(name) for name in recipes or bundled()]
        with show.progress(errors, sum(map(stage_count, wanted))) as (report, tell):
            measurements = Measurements(measure, keep)
            stages = Stages(default_cache(), report, tell, measurements)
            built = [build_recipe(recipe, stages, train, keep) for recipe in wanted]
    except KeyboardInterrupt:  # typer would exit without a word
        errors.print("Interrupted. The last good catalog is untouched; finished stages are kept.")
        raise typer.Exit(130) from None
    changed = catalog.publish(out, {b.model.id: (b.model, b.packed) for b in built})
    if json_:
        models = [asdict(result.model) for result in built]
        _print_json({"changed": changed, "stages_run": stages.ran, "models": models})
        return
    for result in built:
        show.model_table(Console(), result.model)
        if len(found := frontier.points(result.model)) > 1:
            show.frontier_bars(Console(), found)
            frontier.plot(result.model, out / result.model.id / "frontier.svg")
    if changed or stages.ran:
        errors.print(f"Wrote {out / catalog.CATALOG}.", markup=False)
    else:
        errors.print(f"Nothing changed: {out / catalog.CATALOG} is up to date.", markup=False)


@app.command()
def seeds(
    recipe: Annotated[str, typer.Argument(help="A recipe of the lab that trains: a path or a name.")],
    count: Annotated[int, typer.Option(min=2, help="Of seeds, the recipe's own among them.")] = 3,
    keep: Annotated[Path | None, typer.Option(help="A directory to keep the figures in.")] = None,
    json_: Json = False,
) -> None:
    """Train a recipe from several seeds, and say how far its accuracy varies."""
    from .build import build_recipe, stage_count
    from .errors import RecipeError
    from .lab_recipe import ClassifierRecipe
    from .reduce.seeds import record, train_seeds
    from .stages import Stages

    wanted = load_recipe(recipe)
    if not isinstance(wanted, ClassifierRecipe):
        raise RecipeError(f"{wanted.id} is no recipe of the lab: nothing in it is trained")
    try:
        with show.progress(errors, count * stage_count(wanted)) as (report, tell):
            stages = Stages(default_cache(), report, tell)
            reached = train_seeds(
                wanted, count, lambda seeded, train: build_recipe(seeded, stages, train).model
            )
    except KeyboardInterrupt:
        errors.print("Interrupted. The same command goes on from here.")
        raise typer.Exit(130) from None
    if keep is not None:
        record(keep, wanted.id, reached)
    if json_:
        _print_json(reached)
    else:
        show.seeds_table(Console(), wanted.id, reached)


@app.command()
def check(out: Models = SITE / "models", json_: Json = False) -> None:
    """Check that every built file is whole and every dtype answers its canary."""
    from .check import check as check_models

    with errors.status("checking") as status:
        checked = check_models(out, lambda label: status.update(f"checking {label}"))
    if json_:
        _print_json([asdict(row) for row in checked])
    else:
        show.check_table(Console(), checked)


@app.command()
def serve(
    directory: Annotated[Path, typer.Argument(help="The site to serve.")] = SITE,
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Use 127.0.0.1 unless others should reach it.")] = (
        "127.0.0.1"
    ),
    base_path: Annotated[str, typer.Option(help="Serve below this path, as some hosts do.")] = "/",
    isolation: Annotated[
        bool, typer.Option(help="Send COOP and COEP, which WASM threads need.")
    ] = True,
) -> None:
    """Serve the page: isolation headers, ranges, precompressed files."""
    from .serve import run

    run(directory, host=host, port=port, base_path=base_path, isolation=isolation)


@app.command()
def weigh(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A directory, a config.json, a .safetensors or .gguf file (paths or addresses), or a "
            "model's id on the Hugging Face Hub."
        ),
    ] = None,
    params: Annotated[str | None, typer.Option(help="A count instead, like 2B.")] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help="Only this, which may be any of GGUF's; may be repeated.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Fail where no dtype travels in at most this, like 20MB.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Fail where no dtype opens in at most this, like 1GB.")
    ] = None,
    json_: Json = False,
) -> None:
    """Say what a model takes in each dtype, on the wire and in memory, before any is downloaded."""
    from .weigh import only, weigh_count, weigh_source, weighable, within

    if (source is None) == (params is None):
        raise typer.BadParameter("give either a source or --params")
    dtypes = weighable(dtype or ())
    weighed = weigh_count(str(params), dtypes) if source is None else weigh_source(source, dtypes)
    if dtype:
        weighed = only(weighed, dtype)
    limited = budget is not None or memory is not None
    fits = within(weighed, budget, memory) if limited else None
    if json_:
        _print_json(asdict(weighed) | ({} if fits is None else {"within_budget": fits}))
    else:
        show.weight_table(Console(), weighed, fits)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command; an ExportError prints its message and exits with its code."""
    try:
        app()
    except ExportError as error:
        errors.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        raise SystemExit(error.exit_code) from error
