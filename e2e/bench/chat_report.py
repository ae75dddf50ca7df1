"""The chat benchmark in words: a table, and ratios to wllama."""

from __future__ import annotations

import statistics
from typing import Any

SHORT, LONG = 43, 512
"""Tokens of the prompts."""

KL_TOKENS = 1024
"""That the peers' KL is measured on."""

COLUMNS = (
    ("cold", "cold load, s", 2),
    ("warm", "warm load, s", 2),
    ("short_first", f"first token after {SHORT}, s", 2),
    ("long_first", f"after {LONG}, s", 2),
    ("short_decode", "tokens/s, short", 1),
    ("unguessed_decode", "without guessing", 1),
    ("long_decode", f"tokens/s at {LONG}", 1),
    ("load_memory", "peak renderer loading cold, MB", 0),
    ("memory", "peak renderer loading warm and answering, MB", 0),
)


def report(results: dict[str, Any]) -> str:
    """The table, and ratios to wllama."""
    about = results["about"]
    lines = [
        "# SmolLM2-135M-Instruct in Chromium, on WASM with 2 threads",
        "",
        f"Written by `make bench` on {about['date']}: Chromium {about['chromium']}, "
        f"{about['machine']}, {about['rounds']} interleaved rounds; "
        + ", ".join(f"{name} {version}" for name, version in about["peers"].items())
        + ". Medians, with the least and the most in brackets; a round's tokens/s are all tokens but "
        "the first over the time from it to the last. From a server on the same machine, so that a "
        "cold load is everything but the network. Loading Peso Leve includes Python. KL is in nats "
        f"from the dequantized GGUF (ours on 4,096 tokens, theirs on {KL_TOKENS:,}); "
        "wllama does not give its logits.",
        "",
        "| | wire, MB | KL | " + " | ".join(title for _, title, _ in COLUMNS) + " |",
        "|---|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    for entrant in results["contenders"]:
        cells = [f"{entrant['wire_bytes'] / 1e6:.1f}"]
        cells.append("" if entrant["kl"] is None else f"{entrant['kl']:.3f}")
        for key, _, digits in COLUMNS:
            if key not in entrant["rounds"][0]:
                cells.append("")
                continue
            scale = 1e-6 if key.endswith("memory") else 1
            values = [scale * row[key] for row in entrant["rounds"]]
            cells.append(
                f"{statistics.median(values):.{digits}f} "
                f"({min(values):.{digits}f}–{max(values):.{digits}f})"
            )
        lines.append(f"| {entrant['label']} | " + " | ".join(cells) + " |")
    lines += ["", "Ratios to wllama, of medians:", ""]
    base = next(e for e in results["contenders"] if e["label"].startswith("wllama"))
    shared = [(key, title) for key, title, _ in COLUMNS if key in base["rounds"][0]]
    lines.append("| | " + " | ".join(title.split(",")[0] for _, title in shared) + " |")
    lines.append("|---|" + "---:|" * len(shared))
    for entrant in results["contenders"]:
        ratios = [
            statistics.median(r[key] for r in entrant["rounds"])
            / statistics.median(r[key] for r in base["rounds"])
            for key, _ in shared
        ]
        lines.append(f"| {entrant['label']} | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")
    return "\n".join([*lines, "", "![the same as a plot](chat.svg)", ""])
