"""The page's tokenizer gives the very ids of Python's ``tokenizers``."""

from __future__ import annotations

import random

from tokenizers import Tokenizer

from pesoleve.pack import read_content
from pesoleve_worker.catalog import Model

from .server import SITE
from .visit import Visit

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    " \t\n\r\u00a0\u2028",
    "áéíóúãõçàâêôüñÁÉÍÇÃßøœİıŁ",
    "日本語中文漢字한국어ひらがなカタカナ",
    "\U00020000\U0002a6d6\U0002b740\U0002f800",  # Chinese beyond the basic plane
    "😀🎉👩‍👩‍👧‍👦🇧🇷❤️",
    "\x00\x01\x07\x1b\x7f\u200b\u200d\ufeff\u00ad\ufffd",
    "0123456789.,;:!?'\"-_()[]{}<>@#$%^&*+=/\\|~`",
    "e\u0301a\u0303c\u0327",  # accents that combine
    "عربيहिन्दीไทยελληνικάРусский",
    "𝒜𝔘﷽ﬁⅷ①㍿",
)
FIXED = [
    "",
    " ",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "ã" * 300,
    "[CLS] typed by hand [SEP]",
    "[MASK]",
    "[mask]",
    "Quanto pesa um modelo?",
]
N = 2000


def generated_strings() -> list[str]:
    chance = random.Random(0)
    texts = list(FIXED)
    while len(texts) < N:
        alphabets = chance.sample(ALPHABETS, chance.randint(1, 4))
        length = chance.choice([1, 2, 5, 10, 40, 150])
        texts.append("".join(chance.choice(chance.choice(alphabets)) for _ in range(length)))
    return texts


def test_ids_equal_python_s_on_generated_strings(
    visit: Visit, isolated_site: str, model: Model
) -> None:
    shards = model.files_for("wasm", "fp32")["tokenizer"]
    content = read_content(SITE / "models", shards)
    tokenizer = Tokenizer.from_str(content.decode())
    texts = generated_strings()
    visit.open_blank(isolated_site)
    found = visit.page.evaluate(
        """async ({ json, texts }) => {
          const { loadTokenizers } = await import('../worker/tokenizer_host.js');
          const open = await loadTokenizers();
          const tokenizer = open(new TextEncoder().encode(json));
          return texts.map((text) => tokenizer.encode(text));
        }""",
        {"json": content.decode(), "texts": texts},
    )
    wrong = [
        (text, ids, tokenizer.encode(text).ids)
        for text, ids in zip(texts, found, strict=True)
        if ids != tokenizer.encode(text).ids
    ]
    assert len(found) == N
    assert not wrong, f"{len(wrong)} differ; the first: {wrong[0]!r}"
    visit.expect_clean(isolated_site)
