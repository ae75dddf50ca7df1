"""A chat model open in a page, through the public module: one load, any number of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .visit import Visit

ID = "smollm2-135m-instruct"
Message = dict[str, str]

LOAD = """
  globalThis.models ??= {};
  const { name, id, options } = argument;
  globalThis.models[name] = await pesoleve.load(id, options);
  return globalThis.models[name].stats;
"""

GENERATE = """
  const { name, messages, options, abortAfter } = argument;
  const model = globalThis.models[name];
  const abort = new AbortController();
  const pieces = [];
  const prefill = [];
  const received = [];
  const listen = ({ data }) => data.type === 'token' && received.push(...data.token_ids);
  model.client.worker.addEventListener('message', listen);
  let longestGap = 0;
  let last = performance.now();
  const heartbeat = setInterval(() => {
    longestGap = Math.max(longestGap, performance.now() - last);
    last = performance.now();
  }, 10);
  const begun = performance.now();
  const told = () => ({
    pieces, prefill, received, longest_gap: longestGap, seconds: (performance.now() - begun) / 1000,
  });
  try {
    const answer = model.generate(messages, {
      ...options,
      signal: abort.signal,
      onPrefill: (loaded, total) => prefill.push([loaded, total]),
    });
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return { ...told(), result: value };
      pieces.push(value);
      if (pieces.length === abortAfter) abort.abort();
    }
  } catch (error) {
    if (error.code === undefined) throw error;
    const { code, message } = error;
    return { ...told(), error: { code, message } };
  } finally {
    clearInterval(heartbeat);
    model.client.worker.removeEventListener('message', listen);
  }
"""


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}


@dataclass(frozen=True)
class Answer:
    """What came of one ``generate``; ``result`` is empty after an error."""

    pieces: list[dict[str, Any]]
    prefill: list[list[int]]
    """What ``onPrefill`` was told."""
    received: list[int]
    """Every token id that the worker sent, those after an abort too."""
    seconds: float
    longest_gap: float
    """The longest that the page's own thread stood still, in milliseconds."""
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        assert not self.error, self.error
        return list(self.result["token_ids"])

    @property
    def text(self) -> str:
        assert not self.error, self.error
        return str(self.result["text"])


@dataclass(frozen=True)
class Chat:
    visit: Visit
    name: str
    stats: dict[str, Any]

    def generate(
        self, messages: Sequence[Message] | Any, *, abort_after: int = -1, **options: Any
    ) -> Answer:
        """Answer ``messages``; abort once that many pieces have come."""
        answer = self.visit.run_module(
            GENERATE,
            {"name": self.name, "messages": messages, "options": options, "abortAfter": abort_after},
        )
        return Answer(**answer)

    def ask(self, content: str, **options: Any) -> Answer:
        return self.generate([user(content)], **options)

    def dispose(self) -> None:
        self.visit.run_module("await globalThis.models[argument].dispose(); return null;", self.name)


def open_chat(visit: Visit, name: str = "first", id_: str = ID, **options: Any) -> Chat:
    """Load a model into the page that ``visit`` has open."""
    stats = visit.run_module(LOAD, {"name": name, "id": id_, "options": {"device": "wasm", **options}})
    assert "error" not in stats, stats
    return Chat(visit, name, stats)
