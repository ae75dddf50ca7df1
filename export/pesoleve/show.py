"""What the command prints: progress while it works, tables when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import mean, stdev

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pesoleve_worker.beside import PROMPT
from pesoleve_worker.catalog import Model, Quality
from pesoleve_worker.weighing import Weighed

from .check import Checked
from .frontier import Point
from .stages import Report, Tell


def megabytes(count: int) -> str:
    """Format bytes as decimal megabytes, as DevTools does."""
    return f"{count / 1e6:,.2f} MB"


@contextmanager
def progress(console: Console, total: int) -> Iterator[tuple[Report, Tell]]:
    """Show a bar over ``total`` stages; yields what ``Stages`` reports stages to, and where one is."""
    columns = (
        BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=total)
        begun = 0

        def report(label: str, cached: bool) -> None:
            nonlocal begun
            if not cached:
                console.print(f"  {label}", highlight=False)
            bar.update(task, completed=begun, description=label)
            begun += 1

        yield report, lambda said: bar.update(task, description=said)
        bar.update(task, completed=total, description="done")


def seeds_table(console: Console, recipe_id: str, reached: Mapping[int, float]) -> None:
    """Print what each seed reached, and how far they are from each other."""
    table = Table(title=f"{recipe_id}, trained from {len(reached)} seeds", title_justify="left")
    table.add_column("seed", justify="right")
    table.add_column("accuracy", justify="right")
    for seed, accuracy in reached.items():
        table.add_row(str(seed), f"{accuracy:.4f}")
    values = list(reached.values())
    table.add_section()
    table.add_row("mean", f"{mean(values):.4f} ± {stdev(values):.4f}")
    console.print(table)


def model_table(console: Console, model: Model) -> None:
    """Print a model's dtypes: bytes on the wire, quality, and how far from the reference."""
    count = model.parameters.total / 1e6
    table = Table(
        title=f"{model.id}: {model.weight_class}weight, {count:.1f} M parameters",
        title_justify="left",
    )
    columns = list(dict.fromkeys((row.metric, row.dataset) for row in model.quality))
    metrics = [metric for metric, _dataset in columns]
    headings = [m if metrics.count(m) == 1 else f"{m}, {dataset}" for m, dataset in columns]
    for heading in ("dtype", "on the wire", "decoded", *headings):
        table.add_column(heading, justify="left" if heading == "dtype" else "right")
    figures = {(row.dtype, row.metric, row.dataset): row for row in model.quality}
    for dtype in model.devices["wasm"].files:
        files = model.wire_files("wasm", dtype)
        table.add_row(
            f"{dtype} (default)" if dtype == model.default_dtype else dtype,
            megabytes(sum(file.bytes for file in files)),
            megabytes(sum(file.decoded_bytes for file in files)),
            *(_figure(figures.get((dtype, *column))) for column in columns),
        )
    console.print(table)


def _figure(row: Quality | None) -> str:
    if row is None:
        return ""
    if row.reference_value in (0, 1):  # its distance from itself: nothing to compare with
        return f"{row.value:.6f}"
    return f"{row.value:.4f} ({row.value - row.reference_value:+.4f})"


def frontier_bars(console: Console, found: list[Point]) -> None:
    """Draw bytes on the wire against KL, smallest first; a bar's length is its bytes."""
    most = max(point.bytes for point in found)
    console.print("frontier: bytes on the wire, and mean KL from the source in nats", highlight=False)
    for point in found:
        bar = "█" * round(40 * point.bytes / most)
        line = f"  {point.dtype:>8} {bar:<40} {megabytes(point.bytes):>10}  KL {point.kl:.4f}"
        console.print(line, highlight=False, markup=False)


def check_table(console: Console, checked: list[Checked]) -> None:
    """Print every dtype that was checked."""
    table = Table()
    for heading in ("model", "dtype", "on the wire", "canary off by", "tolerance"):
        table.add_column(heading)
    for row in checked:
        table.add_row(
            row.model, row.dtype, megabytes(row.bytes), f"{row.canary_difference:.2g}",
            f"{row.tolerance:.2g}",
        )  # fmt: skip
    console.print(table)


MEGABITS = (5, 20, 100)
WASM32_BYTES = 2**32


def weight_table(console: Console, weighed: Weighed, fits: list[str] | None) -> None:
    """Print what the weights take by dtype, and how long that travels; mark what fits a budget."""
    count = weighed.parameters
    console.print(
        f"{weighed.weight_class}weight: {count.total / 1e6:,.1f} M parameters, "
        f"{count.embedding / 1e6:,.1f} M of them in embedding tables"
    )
    table = Table(box=None, padding=(0, 1, 0, 0))  # all of it in 80 columns
    headings = ["dtype", "wire\nMB", "range\nMB", "disk\nMB", "memory\nMB", "peak\nMB", "KV\nkB",
                *(f"at {rate}\nMb/s" for rate in MEGABITS)]  # fmt: skip
    if fits is not None:
        headings.append("fits")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "dtype" else "right", no_wrap=True)
    for dtype, size in weighed.dtypes.items():
        kv = size.kv_bytes_per_token
        cells = [
            dtype,
            _short(size.wire_bytes),
            "-".join(map(_short, size.wire_range)),
            _short(size.decoded_bytes),
            _short(size.memory_bytes),
            _short(size.peak_bytes),
            "?" if kv is None else f"{kv / 1e3:,.0f}",
            *(_duration(8 * size.wire_bytes / (rate * 1e6)) for rate in MEGABITS),
        ]
        if fits is not None:
            cells.append("yes" if dtype in fits else "no")
        table.add_row(*cells)
    console.print(table)
    console.print(
        f"range: what zstd may leave; memory: on WASM, with no context; peak: while it loads, or reads "
        f"{PROMPT} tokens; KV: of the cache, for each token"
    )
    if weighed.beside is not None:
        of = weighed.beside
        console.print(
            f"Counted in: graph {megabytes(of.graph_wire)} on the wire, tokenizer "
            f"{megabytes(of.tokenizer_wire)}; in memory rotary tables {megabytes(of.rotary)}, and of "
            f"{PROMPT} tokens activations {megabytes(of.activations)}, logits {megabytes(of.logits)} "
            f"({megabytes(of.logits_of_all)} where the graph answers for each)",
            highlight=False,
        )
    too_large = [d for d, size in weighed.dtypes.items() if size.memory_bytes > WASM32_BYTES]
    if too_large:
        limit = f"{WASM32_BYTES / 1e6:,.0f} MB"
        console.print(f"WASM addresses {limit}, so it cannot open: {', '.join(too_large)}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _short(count: int) -> str:
    megabytes = count / 1e6
    return f"{megabytes:,.1f}" if megabytes < 100 else f"{megabytes:,.0f}"
