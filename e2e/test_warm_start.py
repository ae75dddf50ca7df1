"""A second visit: the chat model's 87 megabytes are here."""

from __future__ import annotations

from playwright.sync_api import BrowserContext

from .chat import ID
from .visit import Visit

LOAD = """
  const model = await pesoleve.load(argument, { device: 'wasm' });
  const { stats } = model;
  await model.dispose();
  return stats;
"""


def test_a_warm_start_of_the_chat_model_fetches_no_weights(
    context: BrowserContext, isolated_site: str
) -> None:
    first, second = Visit(context.new_page()), Visit(context.new_page())
    first.open_blank(isolated_site)
    cold = first.run_module(LOAD, ID)
    assert cold["bytes"]["model"] > 80_000_000
    first.page.close()
    second.open_blank(isolated_site)
    warm = second.run_module(LOAD, ID)
    assert warm["bytes"]["model"] == 0
    model_files = [
        file for file in warm["files"] if file["role"] in ("weights", "graph", "tokenizer", "ngrams")
    ]
    assert model_files and {file["from"] for file in model_files} == {"disk"}
    assert not [path for path in second.bytes_by_path() if path.endswith(".zst")]
    second.expect_clean(isolated_site)
