"""Streaming a real byte-level BPE tokenizer, one token at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesoleve_worker.generation.streamer import LONGEST_WINDOW, Streamer

LINES = [
    "Peso leve é português para lightweight: não, você, coração, pão de açúcar.",
    "Um modelo leve chega ao navegador. 👍 👍🏽 👩‍👩‍👧 🇧🇷 🇵🇹",
    "你好，世界。軽量モデル。",
]


class ByteLevel:
    """``vocabulary`` 256 has single bytes only, so that every character of several bytes is split."""

    def __init__(self, vocabulary: int) -> None:
        import tokenizers

        self.native = tokenizers.Tokenizer(tokenizers.models.BPE())
        self.native.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.native.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<|end|>"],
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        self.native.train_from_iterator(LINES * 4, trainer)
        letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet(), key=_byte)
        self.byte_ids = [self.native.token_to_id(letter) for letter in letters]

    def encode(self, text: str, special: bool = True) -> list[int]:
        ids: list[int] = self.native.encode(text, add_special_tokens=special).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.native.decode(list(ids))
        return text


def _byte(letter: str) -> int:
    """Undo GPT-2's table: printable bytes stand for themselves, the rest in order from U+0100 on."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in kept]
    point = ord(letter)
    return point if point < 0x100 else others[point - 0x100]


BYTES = ByteLevel(257)
MERGED = ByteLevel(420)


def streamed(tokenizer: ByteLevel, ids: Sequence[int]) -> list[str]:
    streamer = Streamer(tokenizer)
    return [*(streamer.push(token) for token in ids), streamer.flush()]


def test_the_alphabet_is_in_the_order_of_bytes() -> None:
    assert len(set(BYTES.byte_ids)) == 256
    text = "é👍\n ~"
    assert BYTES.decode([BYTES.byte_ids[byte] for byte in text.encode()]) == text


@pytest.mark.parametrize("tokenizer", [BYTES, MERGED], ids=["bytes", "merged"])
@pytest.mark.parametrize(
    "text",
    [
        *LINES,
        "e\u0301 c\u0327a\u0303o",
        "👨‍👩‍👧‍👦",
        "a\ufffdb",
        "\ufffd",
        "한국어",
        " leading",
        "\n\n",
        "",
    ],
)
def test_pieces_add_up_and_split_no_character(tokenizer: ByteLevel, text: str) -> None:
    pieces = streamed(tokenizer, tokenizer.encode(text))
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
        assert pieces[-1] == ""


@pytest.mark.parametrize("tokenizer", [BYTES, MERGED], ids=["bytes", "merged"])
def test_a_character_is_shown_with_its_last_byte(tokenizer: ByteLevel) -> None:
    ids = [tokenizer.byte_ids[byte] for byte in "o👍k".encode()]
    assert streamed(tokenizer, ids) == ["o", "", "", "", "👍", "k", ""]


@given(st.text(max_size=60))
def test_any_text_adds_up(text: str) -> None:
    ids = MERGED.encode(text)
    assert "".join(streamed(MERGED, ids)) == MERGED.decode(ids) == text


@given(st.lists(st.integers(0, 419), max_size=200))
def test_any_tokens_add_up(ids: list[int]) -> None:
    assert "".join(streamed(MERGED, ids)) == MERGED.decode(ids)


INVALID = [0xFF, 0xC3, 0xE2, 0x82, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0]


@given(st.lists(st.sampled_from(INVALID), max_size=4 * LONGEST_WINDOW))
def test_bytes_that_are_no_text_add_up(data: list[int]) -> None:
    ids = [BYTES.byte_ids[byte] for byte in data]
    assert "".join(streamed(BYTES, ids)) == bytes(data).decode(errors="replace") == BYTES.decode(ids)


def test_bytes_that_are_no_text_are_not_held_for_long() -> None:
    pieces = streamed(BYTES, [BYTES.byte_ids[0xFF]] * 300)
    assert pieces[:5] == ["", "", "", "\ufffd", "\ufffd"]
    assert all(pieces[3:300])


def test_a_decode_stays_short() -> None:
    longest = 0

    class Watched(ByteLevel):
        def decode(self, ids: Sequence[int]) -> str:
            nonlocal longest
            longest = max(longest, len(ids))
            return super().decode(ids)

    tokenizer = Watched(257)
    streamed(tokenizer, [tokenizer.byte_ids[0xFF]] * 300)
    assert longest <= LONGEST_WINDOW + 1
    longest = 0
    streamed(tokenizer, tokenizer.encode("plain text goes on and on " * 9))
    assert longest == 2


class SpaceDropping:
    """As decoders of SentencePiece models do, which drop the space before the first word."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        del special
        words = {" um": 0, " dois": 1}
        return [words[f" {word}"] for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join([" um", " dois", ""][token] for token in ids).removeprefix(" ")


def test_the_space_before_a_later_word_is_kept() -> None:
    streamer = Streamer(SpaceDropping())
    tokens = [*SpaceDropping().encode("um dois"), 2, 1]
    assert [streamer.push(token) for token in tokens] == ["um", " dois", "", " dois"]
    assert streamer.flush() == ""
    assert streamer.push(1) == "dois"
