"""The chat model in CPython over the very files that the page fetches: what its answers should be."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from math import inf
from pathlib import Path

from pesoleve.chat import chat_prompt
from pesoleve.graph import int8, layouts
from pesoleve.native_host import NativeDecoder, NativeTokenizer
from pesoleve.pack import read_content
from pesoleve.planes import read_planes
from pesoleve_worker.catalog import Model, TextGeneration


class NativeChat:
    """A dtype as a device has it: the default on WASM, every weight in fp32, unless told."""

    def __init__(
        self, model: Model, models: Path, dtype: str | None = None, device: str = "wasm"
    ) -> None:
        assert isinstance(model.pipeline, TextGeneration)
        self._pipeline = model.pipeline
        layout = model.devices[device].layout
        files = {
            role: read_content(models, shards)
            for role, shards in model.files_for(device, dtype or model.default_dtype).items()
        }
        weights = layouts.expand(read_planes(files["weights"]), layout)
        steps = int8.STEPS if layout == "int8" else None
        config = model.devices[device].session_config
        self._decoder = NativeDecoder(files["graph"], weights, config, steps)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "tokenizer.json"
            path.write_bytes(files["tokenizer"])
            self._tokenizer = NativeTokenizer(path)

    def count(self, content: str) -> int:
        """How many tokens the prompt of one user turn has."""
        return len(self._ids(content))

    def greedy(self, content: str, most: int) -> list[int]:
        """The likeliest tokens of the answer, its end included."""
        return asyncio.run(self._greedy(content, most))

    async def _greedy(self, content: str, most: int) -> list[int]:
        self._decoder.truncate(0)
        ids, answer = self._ids(content), list[int]()
        while len(answer) < most and not set(answer) & set(self._pipeline.eos_token_ids):
            (candidates,) = await self._decoder.feed(ids, 1)
            ids = list(candidates.ids)
            answer += ids
        return answer

    def prefers(self, content: str, answers: Sequence[str]) -> list[float]:
        """The logit of each answer's first token after one user turn, ``-inf`` if not of the first
        5,000."""
        firsts = [self._tokenizer.encode(answer, special=False)[0] for answer in answers]
        self._decoder.truncate(0)
        (found,) = asyncio.run(self._decoder.feed(self._ids(content), 5000))
        logits = dict(zip(found.ids, found.logits, strict=True))
        return [logits.get(first, -inf) for first in firsts]

    def shortfalls(self, content: str, answer: Sequence[int]) -> list[float]:
        """How many nats each token of an answer lies below the likeliest; ``inf`` if not of the 50."""
        return asyncio.run(self._shortfalls(content, answer))

    async def _shortfalls(self, content: str, answer: Sequence[int]) -> list[float]:
        self._decoder.truncate(0)
        ids, shortfalls = self._ids(content), list[float]()
        for chosen in answer:  # one by one, as they were made: a step has one scale for its activations
            (found,) = await self._decoder.feed(ids, 50)
            logits = dict(zip(found.ids, found.logits, strict=True))
            shortfalls.append(found.logits[0] - logits.get(chosen, -inf))
            ids = [chosen]
        return shortfalls

    def _ids(self, content: str) -> list[int]:
        prompt = chat_prompt([{"role": "user", "content": content}], self._pipeline)
        return self._tokenizer.encode(prompt, special=False)
