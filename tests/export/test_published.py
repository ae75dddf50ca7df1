"""The article's examples, as the page shows them."""

from __future__ import annotations

from pesoleve.published import weigh_published


def test_the_examples_are_the_articles_lightest_first() -> None:
    found = weigh_published()
    totals = {model["name"]: model["weighed"]["parameters"]["total"] for model in found}
    assert totals == {
        "DistilBERT": 66_362_880,
        "Gemma 2B": 2_506_172_416,
        "Mistral 7B": 7_241_732_096,
        "Gemma 7B": 8_537_680_896,
    }
    assert list(totals.values()) == sorted(totals.values())


def test_only_what_fits_webassembly_is_said_to() -> None:
    least = {
        model["name"]: min(size["memory_bytes"] for size in model["weighed"]["dtypes"].values())
        for model in weigh_published()
    }
    assert [name for name, size in least.items() if size <= 2**32] == ["DistilBERT", "Gemma 2B"]
