from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pesoleve.cli import app
from pesoleve.errors import BudgetError, SourceError
from pesoleve.weigh import weigh_config, weigh_count, within

GEMMA_2B = {
    "model_type": "gemma", "vocab_size": 256000, "hidden_size": 2048, "intermediate_size": 16384,
    "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256,
}  # fmt: skip
SMOLLM2 = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}  # fmt: skip
MINILM = {
    "model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "intermediate_size": 1536,
    "num_hidden_layers": 6, "max_position_embeddings": 512,
}  # fmt: skip
NORMS_BYTES = (2 * 30 + 1) * 576 * 4


def config_file(folder: Path, config: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def test_gemma_2b_is_not_2_gb(tmp_path: Path) -> None:
    weighed = weigh_config(config_file(tmp_path, GEMMA_2B))
    assert weighed.parameters.total == 2_506_172_416
    assert weighed.parameters.embedding == 524_288_000
    assert weighed.weight_class == "heavy"
    assert weighed.weights["fp32"] == 4 * 2_506_172_416
    assert 1.5e9 < weighed.weights["q4_0"] < 1.8e9


def test_smollm2_weighs_what_its_gguf_holds(tmp_path: Path) -> None:
    """Its own Q4_1 GGUF: the table in Q8_0, norms in fp32. The built planes add a header of 16 kB."""
    weights = weigh_config(config_file(tmp_path, SMOLLM2)).weights["q4_1"]
    table, matrices = 28_311_552, 134_515_008 - 28_311_552 - NORMS_BYTES // 4
    assert weights == table * 34 // 32 + matrices * 20 // 32 + NORMS_BYTES
    assert weights == pytest.approx(96_654_648, rel=0.005)


def test_minilm_weighs_what_was_built_without_its_pooler(tmp_path: Path) -> None:
    weighed = weigh_config(config_file(tmp_path, MINILM))
    pooler = 384 * 384 + 384
    assert weighed.parameters.total == 22_713_216
    assert weighed.weights["fp32"] - 4 * pooler == pytest.approx(90_261_504, rel=0.005)


def test_a_directory_and_a_nested_configuration(tmp_path: Path) -> None:
    config_file(tmp_path, {"model_type": "gemma3", "text_config": GEMMA_2B})
    assert weigh_config(tmp_path).parameters.total == 2_506_172_416


def test_what_does_not_fill_blocks_stays_fp16(tmp_path: Path) -> None:
    odd = MINILM | {"hidden_size": 100, "num_hidden_layers": 0}
    weights = weigh_config(config_file(tmp_path, odd)).weights
    assert weights["q4_0"] == (30522 + 512 + 2) * 100 * 2 + 100 * 100 * 2 + 300 * 4


@pytest.mark.parametrize(
    ("text", "count"), [("2B", 2e9), ("22.7M", 22.7e6), ("135 m", 135e6), ("2.5e9", 2.5e9), ("7", 7)]
)
def test_a_count(text: str, count: float) -> None:
    weighed = weigh_count(text)
    assert weighed.parameters.total == round(count)
    assert weighed.weights["fp16"] == 2 * round(count)


@pytest.mark.parametrize("text", ["", "many", "2X", "-2B", "2B3"])
def test_what_is_no_count_is_named(text: str) -> None:
    with pytest.raises(SourceError, match="is not a count of parameters, like 2B"):
        weigh_count(text)


def test_a_budget_says_what_fits() -> None:
    weighed = weigh_count("10M")
    assert within(weighed, "20MB") == ["fp16", "q8_0", "q4_1", "q4_0"]
    assert within(weighed, "6 mb") == ["q4_0"]
    with pytest.raises(BudgetError, match=r"no dtype fits 5MB: the smallest, q4_0, takes 5\.6 MB"):
        within(weighed, "5MB")
    with pytest.raises(SourceError, match="'much' is not a number of bytes"):
        within(weighed, "much")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "should hold an object"),
        ('{"model_type": "rwkv"}', "no formula for 'rwkv'"),
        ('{"model_type": "bert"}', "config.json lacks hidden_size"),
    ],
)
def test_a_bad_configuration_says_what_is_wrong(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SourceError, match=says):
        weigh_config(tmp_path)


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"config\.json cannot be read: give a directory or"):
        weigh_config(tmp_path)


def test_the_command(tmp_path: Path) -> None:
    run = CliRunner().invoke
    path = str(config_file(tmp_path, GEMMA_2B))
    shown = run(app, ["weigh", path, "--budget", "2GB"])
    assert shown.exit_code == 0
    assert "heavyweight: 2,506.2 M parameters" in shown.stdout
    assert "10,024.69 MB" in shown.stdout
    told = json.loads(run(app, ["weigh", "--params", "2B", "--budget", "2GB", "--json"]).stdout)
    assert told["weights"]["q4_1"] == 1_250_000_000
    assert told["within_budget"] == ["q4_1", "q4_0"]
    assert isinstance(run(app, ["weigh", path, "--budget", "20MB"]).exception, BudgetError)
    for words in ([], [path, "--params", "2B"]):
        refused = run(app, ["weigh", *words])
        assert refused.exit_code == 2
        assert "either a config.json or --params" in refused.output
