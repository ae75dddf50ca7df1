"""Only the rows of the token table that the task's texts need, and a tokenizer that knows only those.

Kept are special tokens, every token of the texts, and all single characters and their continuations
that are printable Latin, so that any English or Portuguese word can still be spelled. WordPiece takes
the longest piece that it knows: a word that lost its token is spelled in smaller ones.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from .encoder import Encoder, build, reshaped

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def needed_tokens(tokenizer: dict[str, Any], texts: Sequence[str], most: int) -> list[int]:
    """Return the ids to keep, in ascending order, at most ``most``: the commonest in ``texts`` first.

    Raises:
        ValueError: when the tokenizer is no WordPiece.
    """
    if tokenizer["model"]["type"] != "WordPiece":
        raise ValueError(f"vocabulary pruning knows WordPiece, not {tokenizer['model']['type']}")
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    own = Tokenizer.from_str(_dump(tokenizer))
    own.no_padding()
    own.no_truncation()
    counts: Counter[int] = Counter()
    for encoding in own.encode_batch(list(texts)):
        counts.update(encoding.ids)
    kept = {vocabulary[token] for token in SPECIAL if token in vocabulary}
    kept |= {of for token, of in vocabulary.items() if _is_letter(token.removeprefix("##"))}
    for of, _count in counts.most_common():
        if len(kept) >= most:
            break
        kept.add(of)
    return sorted(kept)


def _is_letter(piece: str) -> bool:
    return len(piece) == 1 and piece.isprintable() and ord(piece) < 0x250


def _dump(tokenizer: dict[str, Any]) -> str:
    import json

    return json.dumps(tokenizer)


def prune_tokenizer(tokenizer: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Return ``tokenizer`` (a decoded ``tokenizer.json``) with only the tokens ``kept``, renumbered."""
    pruned = copy.deepcopy(tokenizer)
    of = {old: new for new, old in enumerate(kept)}
    vocabulary = pruned["model"]["vocab"]
    pruned["model"]["vocab"] = {t: of[i] for t, i in vocabulary.items() if i in of}
    pruned["added_tokens"] = [
        {**token, "id": of[token["id"]]} for token in pruned["added_tokens"] if token["id"] in of
    ]
    special = (pruned.get("post_processor") or {}).get("special_tokens", {})
    for entry in special.values():
        entry["ids"] = [of[old] for old in entry["ids"]]
    return pruned


def prune_table(model: Encoder, kept: Sequence[int]) -> Encoder:
    """Return ``model`` with only the rows ``kept`` of its token table."""
    state = model.state_dict()
    name = "embeddings.word_embeddings.weight"
    state[name] = state[name][list(kept)]
    return build(reshaped(model.shape, vocabulary=len(kept)), state)
