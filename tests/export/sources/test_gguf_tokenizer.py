from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pesoleve.errors import SourceError
from pesoleve.sources.gguf_tokenizer import PRE_TOKENIZERS, tokenizer_files
from tests.tiny_llama import LINES, SPECIAL, byte_level_tokenizer

WORDS = [
    "feather",
    " weighs",
    " 1234",
    "coração",
    " pão",
    "👍🏽",
    "🇧🇷",
    "你好",
    "'ll",
    "\n\n",
    "  ",
    "\t",
    "€",
]
TEXTS = st.lists(st.text(max_size=6) | st.sampled_from([*WORDS, *SPECIAL]), max_size=8).map("".join)
HERE = Path("tiny.gguf")


def made(metadata: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(tokenizer_files(metadata, HERE)["tokenizer.json"]))


# --- byte-level BPE ---

ORIGINAL = byte_level_tokenizer()


def byte_level_metadata(**changes: object) -> dict[str, Any]:
    model = json.loads(ORIGINAL.to_str())["model"]
    tokens = sorted(model["vocab"], key=lambda token: int(model["vocab"][token]))
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in SPECIAL else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in model["merges"]],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        **{f"tokenizer.{key}": value for key, value in changes.items()},
    }


BYTE_LEVEL = made(byte_level_metadata())


@given(TEXTS)
@example("<|im_start|>user\nQuanto pesa uma pena? 12345 👩‍👩‍👧<|im_end|>\n")
@example("<|im_start|><|im_end|> <|im_end")
def test_byte_level_ids_and_their_text_are_the_originals(text: str) -> None:
    ids = ORIGINAL.encode(text).ids
    assert BYTE_LEVEL.encode(text).ids == ids
    for skip in (True, False):
        assert BYTE_LEVEL.decode(ids, skip_special_tokens=skip) == ORIGINAL.decode(
            ids, skip_special_tokens=skip
        )


@given(TEXTS)
def test_byte_level_loses_nothing(text: str) -> None:
    ids = BYTE_LEVEL.encode(text).ids
    assert BYTE_LEVEL.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("gpt-2", ["It", "Ġweighs", "Ġ12345", "Ġgrams", "!!", "Ċ", "Ċ", "ok"]),
        ("smollm", ["It", "Ġweighs", "Ġ", "1", "2", "3", "4", "5", "Ġgrams", "!!", "Ċ", "Ċ", "ok"]),
        ("llama-bpe", ["It", "Ġweighs", "Ġ", "123", "45", "Ġgrams", "!!ĊĊ", "ok"]),
        ("qwen2", ["It", "Ġweighs", "Ġ", "1", "2", "3", "4", "5", "Ġgrams", "!!ĊĊ", "ok"]),
    ],
)
def test_text_is_split_as_the_name_says(pre: str, pieces: list[str]) -> None:
    tokenizer = made(byte_level_metadata(**{"ggml.pre": pre}))
    split = tokenizer.pre_tokenizer.pre_tokenize_str("It weighs 12345 grams!!\n\nok")
    assert [piece for piece, _ in split] == pieces


def test_only_llama_3_takes_a_whole_word_before_its_merges() -> None:
    """Its vocabulary holds words that its merges do not lead to."""
    metadata = byte_level_metadata()
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], "xqz"]
    last = len(metadata["tokenizer.ggml.tokens"]) - 1
    for pre in PRE_TOKENIZERS:
        ids = made({**metadata, "tokenizer.ggml.pre": pre}).encode("xqz").ids
        assert (ids == [last]) == (pre == "llama-bpe")


def test_without_a_name_text_is_split_as_gpt_2_does() -> None:
    metadata = byte_level_metadata()
    del metadata["tokenizer.ggml.pre"]
    assert (
        made(metadata).encode("123").ids
        == made({**metadata, "tokenizer.ggml.pre": "gpt-2"}).encode("123").ids
    )


def test_an_unknown_way_to_split_is_named() -> None:
    with pytest.raises(
        SourceError, match=r"tiny\.gguf splits text as 'tekken' does; there are: gpt-2, smollm"
    ):
        made(byte_level_metadata(**{"ggml.pre": "tekken"}))


@pytest.mark.parametrize("kind", ["bert", "t5", None])
def test_an_unknown_kind_is_named(kind: str | None) -> None:
    with pytest.raises(
        SourceError, match=f"tiny.gguf has a tokenizer of kind {kind!r}; there are: gpt2, llama"
    ):
        made(byte_level_metadata(**{"ggml.model": kind}))


def test_the_settings_name_the_special_tokens_and_hold_the_template() -> None:
    metadata = byte_level_metadata(**{"chat_template": "{{ messages }}", "ggml.padding_token_id": 0})
    settings = tokenizer_files(metadata, HERE)["tokenizer_config.json"]
    assert settings == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": "{{ messages }}",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "add_bos_token": False,
    }


def test_user_defined_tokens_are_whole_and_have_text() -> None:
    metadata = byte_level_metadata()
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], "<think>"]
    metadata["tokenizer.ggml.token_type"] = [*metadata["tokenizer.ggml.token_type"], 4]
    tokenizer = made(metadata)
    last = len(metadata["tokenizer.ggml.tokens"]) - 1
    ids = tokenizer.encode("a<think>b<|im_end|>").ids
    assert ids.count(last) == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a<think>b"


# --- SentencePiece BPE ---


def sentencepiece_vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Tokens, scores and types as a SentencePiece model has them: control, bytes, merged, letters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    trainer = trainers.BpeTrainer(vocab_size=160, show_progress=False)
    tokenizer.train_from_iterator(LINES * 4, trainer)
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    known = [token for token, _ in by_id if max(map(ord, token)) < 0x2600]  # no emoji
    merged = [token for token in known if len(token) > 1]
    letters = [token for token in known if len(token) == 1]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *merged, *letters]
    ranks = range(len(merged) + len(letters))
    scores = [0.0] * 259 + [-float(rank) for rank in ranks]
    return tokens, scores, [2, 3, 3] + [6] * 256 + [1] * len(ranks)


TOKENS, SCORES, TYPES = sentencepiece_vocabulary()
IDS = {token: index for index, token in enumerate(TOKENS)}


def sentencepiece_metadata(**changes: object) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.scores": SCORES,
        "tokenizer.ggml.token_type": TYPES,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        **{f"tokenizer.ggml.{key}": value for key, value in changes.items()},
    }


PREFIXED = made(sentencepiece_metadata())
PLAIN = made(sentencepiece_metadata(add_space_prefix=False))


def by_hand(text: str) -> list[int]:
    """SentencePiece's BPE: join the neighbours that make the best token, the leftmost of equals."""
    parts = list(text.replace(" ", "▁"))
    while True:
        pairs = [
            (-SCORES[IDS[left + right]], at)
            for at, (left, right) in enumerate(itertools.pairwise(parts))
            if left + right in IDS
        ]
        if not pairs:
            break
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [
        index
        for part in parts
        for index in ([IDS[part]] if part in IDS else [3 + byte for byte in part.encode()])
    ]


SPOKEN = st.lists(st.text(max_size=5) | st.sampled_from(WORDS), max_size=8).map("".join)


@given(SPOKEN)
@example("How much does a feather weigh, você? 👍")
def test_sentencepiece_ids_are_those_of_its_own_algorithm(text: str) -> None:
    assert PLAIN.encode(text, add_special_tokens=False).ids == by_hand(text)
    assert PREFIXED.encode(text, add_special_tokens=False).ids == (by_hand(f" {text}") if text else [])


@given(SPOKEN)
def test_sentencepiece_loses_nothing(text: str) -> None:
    text = text.replace("▁", "")
    for tokenizer in (PLAIN, PREFIXED):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_what_has_no_token_is_spelled_in_bytes() -> None:
    ids = PLAIN.encode("你").ids
    assert [TOKENS[index] for index in ids] == ["<0xE4>", "<0xBD>", "<0xA0>"]
    assert PLAIN.decode(ids) == "你"
    assert PLAIN.decode(ids[:2]) == "\ufffd\ufffd"


def test_control_tokens_written_out_are_read_as_such() -> None:
    ids = PLAIN.encode("a</s>b", add_special_tokens=False).ids
    assert ids == [*by_hand("a"), 2, *by_hand("b")]
    assert PLAIN.decode(ids) == "ab"


def test_sentencepiece_begins_with_bos_unless_it_says_otherwise() -> None:
    def begins(**changes: object) -> bool:
        settings = tokenizer_files(sentencepiece_metadata(**changes), HERE)["tokenizer_config.json"]
        return bool(settings["add_bos_token"])

    assert begins()
    assert not begins(add_bos_token=False)
