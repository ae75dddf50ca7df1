"""What the command prints: progress while it works, tables when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pesoleve_worker.catalog import Model, Quality

from .check import Checked
from .frontier import Point
from .stages import Report
from .weigh import Weighed


def megabytes(count: int) -> str:
    """Format bytes as decimal megabytes, as DevTools does."""
    return f"{count / 1e6:,.2f} MB"


@contextmanager
def progress(console: Console, total: int) -> Iterator[Report]:
    """Show a bar over ``total`` stages; yields what ``Stages`` reports to."""
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

        yield report
        bar.update(task, completed=total, description="done")


def model_table(console: Console, model: Model) -> None:
    """Print a model's dtypes: bytes on the wire, quality, and how far from the reference."""
    count = model.parameters.total / 1e6
    table = Table(
        title=f"{model.id}: {model.weight_class}weight, {count:.1f} M parameters",
        title_justify="left",
    )
    metrics = list(dict.fromkeys(row.metric for row in model.quality))
    for heading in ("dtype", "on the wire", "decoded", *metrics):
        table.add_column(heading, justify="left" if heading == "dtype" else "right")
    figures = {(row.dtype, row.metric): row for row in model.quality}
    for dtype in model.devices["wasm"].files:
        files = model.wire_files("wasm", dtype)
        table.add_row(
            f"{dtype} (default)" if dtype == model.default_dtype else dtype,
            megabytes(sum(file.bytes for file in files)),
            megabytes(sum(file.decoded_bytes for file in files)),
            *(_figure(figures[dtype, metric]) for metric in metrics),
        )
    console.print(table)


def _figure(row: Quality) -> str:
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


def weight_table(console: Console, weighed: Weighed, fits: list[str] | None) -> None:
    """Print what the weights take by dtype, and how long that travels; mark what fits a budget."""
    count = weighed.parameters
    console.print(
        f"{weighed.weight_class}weight: {count.total / 1e6:,.1f} M parameters, "
        f"{count.embedding / 1e6:,.1f} M of them in embedding tables"
    )
    table = Table()
    headings = ["dtype", "weights, before zstd", *(f"at {rate} Mbit/s" for rate in MEGABITS)]
    if fits is not None:
        headings.append("fits")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "dtype" else "right")
    for dtype, size in weighed.weights.items():
        cells = [dtype, megabytes(size), *(f"{8 * size / (rate * 1e6):,.0f} s" for rate in MEGABITS)]
        if fits is not None:
            cells.append("yes" if dtype in fits else "no")
        table.add_row(*cells)
    console.print(table)
