"""What the judge found, as a table and a picture: predicted against measured."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

FIGURES = {
    "download": "download, s",
    "load": "ready, s",
    "first_token": "first answer, s",
    "tokens_per_second": "tokens/s",
    "memory": "memory, MB",
}
GOALS = {"tokens_per_second": 0.2, "first_token": 0.2, "load": 0.2, "memory": 0.15, "download": 0.1}
"""The median error that is wished for."""

TIMED = ("download", "load", "first_token", "tokens_per_second")
COVERAGE = 0.9
KINDS = {
    "threads": "threads: {}",
    "slower": "slowed: {}",
    "megabits": "first visit, {} Mbit/s",
    "id": "{}",
}

Pair = tuple[dict[str, Any], dict[str, Any], float]
Shapes = Mapping[tuple[str, str, str], object]
"""What makes two models the same work, by id, device and dtype."""


def pairs(results: dict[str, Any], figure: str, by: str = "predicted") -> Iterator[Pair]:
    """Yield (case, predicted, measured). A download is judged where there was a network to tell of."""
    for row in results["judged"]:
        first_visit = row["case"]["megabits"] is not None
        if row[by] is None:
            continue
        got = row["measured" if by == "predicted" else "closer_measured"]
        predicted, measured = row[by].get(figure), got.get(figure)
        if predicted is None or measured is None or (figure == "download" and not first_visit):
            continue
        yield row["case"], predicted, measured


def report(results: dict[str, Any], shapes: Shapes) -> str:
    lines = [
        f"# Predicted against measured: {datetime.now(UTC):%Y-%m-%d}",
        "",
        "`python -m e2e.bench.judge`: every built model on WASM with 1 and 2 threads, the renderer as "
        "it is and slowed 2 and 4 times, in a second visit and in first visits on slow connections. "
        f"{len(results['judged'])} of {results['cases']} loads. The verdict was frozen before each. "
        "Error is |predicted − measured| / measured. Two loads are alike where models of one shape "
        "run in the same conditions: what they differ by, in the median, no prediction can know.",
        "",
        "| figure | n | median error | wished for | inside the interval | wished for "
        "| two alike, measured |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    rows = [(figure, label, "predicted") for figure, label in FIGURES.items()]
    rows += [(figure, f"{FIGURES[figure]}, by a few layers", "closer") for figure in TIMED]
    for figure, label, by in rows:
        found = list(pairs(results, figure, by))
        if not found:
            continue
        inside = [predicted["low"] <= got <= predicted["high"] for _, predicted, got in found]
        lines.append(
            f"| {label} | {len(found)} | {_median_error(found)} | {GOALS[figure]:.0%} "
            f"| {statistics.mean(inside):.0%} | {COVERAGE:.0%} | {_difference(found, shapes)} |"
        )
    lines += [
        "",
        _first_sentences(results["judged"]),
        "",
        _probe(results["judged"]),
        "",
        *_by_kind(results),
        "",
        *_limits(results["fitted"]),
        "",
        *_rows(results["judged"]),
    ]
    return "\n".join([*lines, "", "![predicted against measured](judged.svg)", ""])


def _difference(found: list[Pair], shapes: Shapes) -> str:
    """What two loads differ by that should not, in the median."""
    alike: defaultdict[object, list[float]] = defaultdict(list)
    for case, _, got in found:
        conditions = [case[key] for key in ("device", "threads", "slower", "megabits")]
        alike[(shapes[case["id"], case["device"], case["dtype"]], *conditions)].append(got)
    differences = [abs(a / b - 1) for group in alike.values() for a, b in permutations(group, 2)]
    return f"{statistics.median(differences):.0%}" if differences else ""


def _first_sentences(judged: list[dict[str, Any]]) -> str:
    """What a sentence takes while a page begins, beside what it takes, which is what is predicted."""
    rows = [row for row in judged if row["first_sentences"] is not None]
    times = [row["first_sentences"] / row["measured"]["first_token"] for row in rows]
    low, median, high = statistics.quantiles(times, n=4)
    told = [row["predicted"]["first_token"] for row in rows]
    within = [
        figure["low"] <= row["first_sentences"] <= figure["high"]
        for figure, row in zip(told, rows, strict=True)
    ]
    return (
        "What a sentence takes is the median of 41, after a hundred, and two seconds of them, for "
        "which the CPU is not slowed. The first seven, while the browser compiles, took "
        f"{median:.1f} times as long, {low:.1f} to {high:.1f} in half of the loads; in "
        f"{statistics.mean(within):.0%} they were inside the interval too."
    )


def _probe(judged: list[dict[str, Any]]) -> str:
    """What the probe took in second visits: in a first one it waits for the network too."""
    said = []
    for slower in sorted({row["case"]["slower"] for row in judged}):
        times = [
            row["probe"] * 1000
            for row in judged
            if row["case"]["slower"] == slower and row["case"]["megabits"] is None
        ]
        said.append(f"slowed {slower}: {statistics.median(times):.0f} ms ({max(times):.0f} at most)")
    return f"The probe took, in the median of second visits, {', '.join(said)}."


def _by_kind(results: dict[str, Any]) -> list[str]:
    """What the error depends on."""
    lines = [
        "Median error by threads, CPU, connection and model:",
        "",
        "| | " + " | ".join(FIGURES.values()) + " |",
        "|---|" + "---:|" * len(FIGURES),
    ]
    for key, label in KINDS.items():
        values = dict.fromkeys(row["case"][key] for row in results["judged"])
        for value in values:
            cells = (
                _median_error([pair for pair in pairs(results, figure) if pair[0][key] == value])
                for figure in FIGURES
            )
            shown = "second visit" if value is None else label.format(value)
            lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return lines


def _median_error(found: list[Pair]) -> str:
    errors = [abs(predicted["value"] - got) / got for _, predicted, got in found]
    return f"{statistics.median(errors):.0%}" if errors else ""


def _limits(fitted: list[dict[str, Any]]) -> list[str]:
    false_yes = [row for row in fitted if row["verdict"] in ("yes", "tight") and not row["loaded"]]
    false_no = [row for row in fitted if row["verdict"] == "no" and row["loaded"]]
    return [
        f"With WebAssembly memory limited by V8 itself, loaded and asked: {len(fitted)} loads, "
        f"{len(false_yes)} false “yes”, {len(false_no)} false “no”.",
        "",
        "| model | device | limit, MB | said | loaded |",
        "|---|---|---:|---|---|",
        *(
            f"| {row['id']} | {row['device']} | {row['limit_mb']} | {row['verdict']} "
            f"| {'yes' if row['loaded'] else row['code']} |"
            for row in fitted
        ),
    ]


def _rows(judged: list[dict[str, Any]]) -> list[str]:
    return [
        "| model | dtype | device | threads | slowed | Mbit/s | " + " | ".join(FIGURES.values()) + " |",
        "|---|---|---|---:|---:|---:|" + "---:|" * len(FIGURES),
        *map(line, judged),
    ]


def line(row: dict[str, Any]) -> str:
    """Return a row of the table: a load, predicted → measured."""
    case = row["case"]
    return (
        f"| {case['id']} | {case['dtype']} | {case['device']} | {case['threads']} "
        f"| {case['slower']} | {case['megabits'] or ''} | "
        + " | ".join(_cell(row, figure) for figure in FIGURES)
        + " |"
    )


def _cell(row: dict[str, Any], figure: str) -> str:
    predicted, measured = row["predicted"].get(figure), row["measured"].get(figure)
    if predicted is None or measured is None or (figure == "download" and not row["case"]["megabits"]):
        return ""
    scale = 1e-6 if figure == "memory" else 1
    return f"{scale * predicted['value']:.3g} → {scale * measured:.3g}"


def plot(results: dict[str, Any], path: Path) -> None:
    """Write a panel a figure: predicted across, measured up, its interval as a line."""
    figure, axes = pyplot.subplots(1, len(FIGURES), figsize=(16, 3.6))
    for axis, (name, label) in zip(axes, FIGURES.items(), strict=True):
        scale = 1e-6 if name == "memory" else 1
        found = list(pairs(results, name))
        for case, predicted, measured in found:
            color = "#1c55a8" if case["threads"] > 1 else "#b3261a"
            low, value, high = (scale * predicted[key] for key in ("low", "value", "high"))
            axis.plot([low, high], [scale * measured] * 2, color=color, lw=0.7, alpha=0.4)
            axis.plot(value, scale * measured, "o", color=color, ms=4)
        ends = [scale * end for _, p, m in found for end in (p["value"], m)]
        axis.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", lw=0.7)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(f"{label}: predicted, measured", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
