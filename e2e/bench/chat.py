"""SmolLM2-135M in Chromium beside wllama and Transformers.js, in one run.

Writes ``chat.md``, ``chat.json`` and ``chat.svg`` beside this file.

Every contender is loaded cold in a browser with a fresh profile, then warm in a new browser with the
same profile, where it speaks: a warm-up answer, one to a short prompt, one to a long one. Nothing looks
into the page (``unobserved``). Rounds are interleaved. Every prompt has a system message of its own, so
that no prefix of one is left in a cache by another. Each asks for an answer that is longer than what is
measured of it: a rate over nine tokens would be a matter of chance.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount
from tokenizers import Tokenizer

from pesoleve import catalog
from pesoleve.chat import chat_prompt
from pesoleve.measure import datasets, perplexity
from pesoleve.recipe import load_recipe
from pesoleve.serve import ISOLATION, AddHeaders, SiteFiles
from pesoleve.sources import resolve
from pesoleve_worker.catalog import Model, TextGeneration

from .. import chromium
from ..server import SITE, serve_app
from .chat_peers import DTYPES, MODEL, build_peer_model, peer_logits
from .chat_plot import plot
from .chat_report import KL_TOKENS, LONG, SHORT, report
from .peers import NODE_MODULES, compress_peer_runtime
from .unobserved import Desk, visit

HERE = Path(__file__).parent
CACHE = Path(".cache/bench")
ID = "smollm2-135m-instruct"
ROUNDS = 3
NEW_TOKENS = {"warm_up": 32, "short": 64, "unguessed": 64, "long": 32}

OURS = """
  const { load } = await import(new URL('/site/js/pesoleve.js', location.href));
  const model = await load('{ID}', {
    device: argument.device, dtype: argument.dtype });
  const speak = async ({ messages, count, guessing }, tell) => {
    const options = { max_new_tokens: count, speculative_decoding: guessing };
    for await (const { token_ids } of model.generate(messages, options)) {
      tell(token_ids.length);
    }
  };
""".replace("{ID}", ID)
WLLAMA = """
  const { Wllama } = await import(new URL('/peers/@wllama/wllama/esm/index.js', location.href));
  const wasm = new URL('/peers/@wllama/wllama/esm/wasm/wllama.wasm', location.href).href;
  const model = new Wllama({ default: wasm }, { suppressNativeLog: true });
  await model.loadModelFromUrl(new URL('/models/{MODEL}/model.gguf', location.href).href, {
    useCache: true, n_threads: argument.threads, n_gpu_layers: 0, n_ctx: 2048 });
  const speak = ({ text, count }, tell) => model.createCompletion({
    prompt: text, max_tokens: count, temperature: 0, top_k: 1, stream: true, cache_prompt: false,
    onData: () => tell(1) });
""".replace("{MODEL}", MODEL)
TRANSFORMERS = """
  const { pipeline, env, TextStreamer } = await import(
    new URL('/peers/@huggingface/transformers/dist/transformers.min.js', location.href));
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.backends.onnx.wasm.wasmPaths = new URL('/peers/onnxruntime-web/dist/', location.href).href;
  env.backends.onnx.wasm.numThreads = argument.threads;
  const model = await pipeline('text-generation', '{MODEL}', { device: 'wasm', dtype: argument.dtype });
  const speak = ({ text, count }, tell) => model(text, {
    max_new_tokens: count, do_sample: false, return_full_text: false, add_special_tokens: false,
    streamer: new TextStreamer(model.tokenizer, {
      skip_prompt: true, callback_function: () => {}, token_callback_function: () => tell(1) }) });
""".replace("{MODEL}", MODEL)
MEASURE = """
  const loadSeconds = (performance.now() - begun) / 1000;
  const answers = {};
  for (const [name, prompt] of Object.entries(argument.prompts)) {
    const times = [];
    const asked = performance.now();
    await speak(prompt, (count) => { for (let i = 0; i < count; i++) times.push(performance.now()); });
    answers[name] = { first: (times[0] - asked) / 1000, times: times.map((t) => (t - asked) / 1000) };
  }
  return { loadSeconds, answers };
"""


@dataclass(frozen=True)
class Contender:
    label: str
    dtype: str
    script: str
    wire_bytes: int
    kl: float | None
    device: str = "wasm"


@contextmanager
def serve_all(desk: Desk, models: Path) -> Iterator[str]:
    routes = [
        *desk.routes(),
        Mount("/site", SiteFiles(SITE)),
        Mount("/peers", SiteFiles(NODE_MODULES)),
        Mount("/models", SiteFiles(models)),
        Mount("/", SiteFiles(HERE / "page")),
    ]
    with serve_app(AddHeaders(Starlette(routes=routes), ISOLATION)) as address:
        yield address


def measure(desk: Desk, site: str, contender: Contender, prompts: dict[str, Any]) -> dict[str, Any]:
    """One round of one contender: loads cold and warm, answers, and the renderer's peaks."""
    body = f"const begun = performance.now(); {contender.script} {MEASURE}"
    argument = {"dtype": contender.dtype, "device": contender.device, "threads": 2}
    guesses = contender.script is OURS
    asked = {name: prompt for name, prompt in prompts.items() if guesses or prompt["guessing"]}
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        folder = Path(profile)
        cold, cold_memory = visit(desk, site, folder, body, {**argument, "prompts": {}})
        result, memory = visit(desk, site, folder, body, {**argument, "prompts": asked})
    figures = {
        "cold": cold["loadSeconds"],
        "warm": result["loadSeconds"],
        "load_memory": cold_memory,
        "memory": memory,
    }
    for name, answer in result["answers"].items():
        gaps = [b - a for a, b in zip(answer["times"], answer["times"][1:], strict=False)]
        figures[f"{name}_first"] = answer["first"]
        figures[f"{name}_decode"] = len(gaps) / sum(gaps)
        figures[f"{name}_tokens"] = len(answer["times"])
    return figures


def make_prompts(model: Model, tokenizer: Tokenizer) -> dict[str, Any]:
    """Chats whose prompts are of exactly ``SHORT`` and ``LONG`` tokens, as messages and as text."""
    pipeline = model.pipeline
    assert isinstance(pipeline, TextGeneration)
    words = datasets.load_text("state-of-the-union").split()

    def chat(system: str, question: str, tokens: int) -> list[dict[str, str]]:
        for count in range(2000):
            user = f"{question} {' '.join(words[:count])}".strip()
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            size = len(tokenizer.encode(chat_prompt(messages, pipeline), add_special_tokens=False).ids)
            if size >= tokens:
                break
        if size != tokens:
            question += "?"  # a token more or less, until the words come out even
            return chat(system, question, tokens)
        return messages

    chats = {
        "warm_up": chat("Warm up.", "Tell me a story.", SHORT),
        "short": chat("Explain in detail.", "Why is a small model good?", SHORT),
        "unguessed": chat("Explain at length.", "Why is a small model good?", SHORT),
        "long": chat("You summarize speeches.", "Summarize this:", LONG),
    }
    return {
        name: {
            "messages": messages,
            "text": chat_prompt(messages, pipeline),
            "count": NEW_TOKENS[name],
            "guessing": name != "unguessed",
        }
        for name, messages in chats.items()
    }


def contenders(model: Model, folder: Path, tokenizer: Tokenizer) -> list[Contender]:
    ids = tokenizer.encode(datasets.load_text("state-of-the-union")[: 10 * KL_TOKENS]).ids
    texts = perplexity.windows(ids, KL_TOKENS, 512)
    reference = perplexity.reference_logits(folder / "source")
    kl = {row.dtype: row.value for row in model.quality if row.metric == "kl"}
    found = []
    for dtype in model.devices["wasm"].files:
        wire = sum(file.bytes for file in model.wire_files("wasm", dtype))
        found.append(Contender(f"Peso Leve {dtype}", dtype, OURS, wire, kl[dtype]))
    small, dtype = "wasm_small", model.default_dtype
    wire = sum(file.bytes for file in model.wire_files(small, dtype))
    label = f"Peso Leve {dtype}, little memory"
    found.append(Contender(label, dtype, OURS, wire, kl[model.quality_key(small, dtype)], small))
    found.append(
        Contender("wllama, the GGUF", "", WLLAMA, (folder / "model.gguf").stat().st_size, None)
    )
    extra = sum((folder / name).stat().st_size for name in ("config.json", "tokenizer.json"))
    for dtype, name in DTYPES.items():
        path = folder / "onnx" / name
        quality = perplexity.compare(map(reference, texts), peer_logits(path), texts)
        wire = path.stat().st_size + extra
        found.append(Contender(f"Transformers.js {dtype}", dtype, TRANSFORMERS, wire, quality.kl))
    return found


def main() -> None:
    """Run every round; write the table, the figures and the plot."""
    compress_peer_runtime()
    recipe = load_recipe(ID)
    folder = build_peer_model(resolve(recipe.source).directory, CACHE)
    model = next(m for m in catalog.read(SITE / "models").models if m.id == ID)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompts = make_prompts(model, tokenizer)
    entrants = contenders(model, folder, tokenizer)
    rounds: dict[str, list[dict[str, Any]]] = {entrant.label: [] for entrant in entrants}
    desk = Desk()
    with serve_all(desk, CACHE) as site:
        for number in range(ROUNDS):
            for entrant in entrants:
                print(f"round {number + 1} of {ROUNDS}: {entrant.label}", file=sys.stderr)
                rounds[entrant.label].append(measure(desk, site, entrant, prompts))
    version = subprocess.check_output([str(chromium.find()), "--version"], text=True).split()[1]
    peers = {
        name: json.loads((NODE_MODULES / name / "package.json").read_text())["version"]
        for name in ("@wllama/wllama", "@huggingface/transformers")
    }
    about = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "chromium": version,
        "machine": platform.machine(),
        "rounds": ROUNDS,
        "peers": peers,
    }
    rows = [{**asdict(entrant), "rounds": rounds[entrant.label]} for entrant in entrants]
    for row in rows:
        del row["script"]
    results: dict[str, Any] = {"about": about, "contenders": rows}
    (HERE / "chat.json").write_text(json.dumps(results, indent=1))
    text = report(results)
    (HERE / "chat.md").write_text(text, encoding="utf-8")
    plot(results, HERE / "chat.svg")
    print(text)


if __name__ == "__main__":
    main()
