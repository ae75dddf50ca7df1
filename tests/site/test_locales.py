"""The page's words: both languages say everything, and nothing is left unsaid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pesoleve.measure.snippets import LABELS
from pesoleve_worker.errors import CODES
from pesoleve_worker.model_config import CONFIG_PROBLEMS
from pesoleve_worker.sizing import WEIGHT_CLASSES

SITE = Path(__file__).parents[2] / "site"
LOCALES = {
    name: json.loads((SITE / "locales" / f"{name}.json").read_text()) for name in ("en", "pt-BR")
}
SCRIPTS = [*(SITE / "js").glob("*.js"), *(SITE / "components").glob("*.js")]

SETTINGS = {
    "temperature", "top_k", "top_p", "min_p", "seed", "repetition_penalty", "max_new_tokens", "stop",
    "speculative_decoding",
}  # fmt: skip


TECHNIQUES = {
    "fine_tuning", "lora", "pruning", "vocabulary_pruning", "quantization", "distillation",
    "parameter_sharing",
}  # fmt: skip
"""The lab's; the catalog's schema has the same, and one more that no recipe of the lab uses."""


def told_by(typedef: str, module: str = "device.js") -> set[str]:
    """The words that a union in a module allows: the page words whichever comes."""
    source = (SITE / "js" / module).read_text(encoding="utf-8").replace("\n *", "")
    union = re.search(rf"@typedef \{{([^}}]*)\}} {typedef}\b", source)
    assert union is not None
    return set(re.findall(r"'(\w+)'", union[1]))


FAMILIES: dict[str, set[str]] = {
    "error": set(CODES),
    "class": {*dict(WEIGHT_CLASSES)},
    "device": told_by("Device"),
    "reason": told_by("DeviceReason"),
    "stage": {"runtime", "python", "weights", "session", "warm_up"},
    "status": {"waiting", "under_way", "done"},
    "part": {"model", "python", "runtime"},
    "role": {"graph", "weights", "tokenizer", "ngrams", "python", "runtime", "page"},
    "time": {"download", "runtime", "python", "decode", "session", "warm_up", "total"},
    "metric": {"spearman", "kl", "perplexity", "top1_agreement"},
    "quality": {"spearman", "kl", "perplexity", "top1_agreement"},
    "finish": {"stop", "length", "context", "aborted"},
    "ledger": {"cold", "now", "from", "start", "seconds"},
    "ledger.from": {"network", "disk", "service_worker"},
    "ledger.part": {"page", "runtime", "python", "tokenizer", "weights", "total"},
    "ledger.devtools": {"open", "cold", "size", "workers", "service_worker", "warm", "stored"},
    "column": {"file", "role", "wire", "decoded"},
    "measured.storage": {"quota", "disk_full", "unsupported"},
    "card.metered": {"save_data", "cellular"},
    "verdict": told_by("Answer", "verdict.js"),
    "verdict.reason": told_by("ReasonCode", "verdict.js"),
    "confidence": {"high", "medium", "low"},
    "basis": {"measured", "surrogate", "probe", "nothing"},
    "figure": told_by("FigureName", "pairs.js") - {"bytes"} | {"answer"},
    "calculator.problem": set(CONFIG_PROBLEMS),
    "technique": TECHNIQUES,
    "lab.when": TECHNIQUES,
    "lab.baseline": {"majority", "vader", "tfidf"},
    "label": {label for labels in LABELS.values() for label in labels},
    "setting": SETTINGS,
    "setting_help": SETTINGS,
}
"""Keys that the scripts put together from a code: ``t(`error.${code}`)``."""


def holes(message: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", message))


def test_both_languages_have_the_same_messages_with_the_same_holes() -> None:
    assert LOCALES["en"].keys() == LOCALES["pt-BR"].keys()
    for key, message in LOCALES["en"].items():
        assert holes(message) == holes(LOCALES["pt-BR"][key]), key


@pytest.mark.parametrize("locale", LOCALES)
def test_every_code_is_worded(locale: str) -> None:
    for family, codes in FAMILIES.items():
        missing = {code for code in codes if not LOCALES[locale].get(f"{family}.{code}")}
        assert not missing, (family, missing)


def test_every_message_a_script_asks_for_exists_and_each_is_asked_for() -> None:
    sources = "\n".join(path.read_text() for path in [*SCRIPTS, SITE / "index.html"])
    asked = set(re.findall(r"\bt\(\s*'([\w.-]+)'", sources))
    asked |= set(re.findall(r"data-t=\"([\w.-]+)\"", sources))
    asked |= set(re.findall(r"(?:single|pair)\(\s*'([\w.-]+)'", sources))
    asked |= set(re.findall(r"\? '([\w]+\.[\w.]+)' : '", sources))
    asked |= set(re.findall(r"' : '([\w]+\.[\w.]+)'", sources))
    assert asked <= LOCALES["en"].keys(), asked - LOCALES["en"].keys()
    made = {f"{family}.{code}" for family, codes in FAMILIES.items() for code in codes}
    made |= {f"class.{name}.limit" for name, _ in WEIGHT_CLASSES}
    assert LOCALES["en"].keys() <= asked | made, LOCALES["en"].keys() - asked - made


def test_the_markup_says_in_english_what_the_locale_says() -> None:
    markup = (SITE / "index.html").read_text()
    for key, text in re.findall(r'data-t="([\w.-]+)">([^<]*)<', markup):
        assert text == LOCALES["en"][key]
