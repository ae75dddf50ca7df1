from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pesoleve.cli import app
from pesoleve.errors import BudgetError, SourceError
from pesoleve.weigh import only, weigh_count, weigh_source, weighable, within

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
    "num_hidden_layers": 6, "num_attention_heads": 12, "max_position_embeddings": 512,
}  # fmt: skip
NORMS_BYTES = (2 * 30 + 1) * 576 * 4


def config_file(folder: Path, config: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def weights_of(config: Path) -> dict[str, int]:
    return {dtype: size.weight_bytes for dtype, size in weigh_source(str(config)).dtypes.items()}


def test_gemma_2b_is_not_2_gb(tmp_path: Path) -> None:
    weighed = weigh_source(str(config_file(tmp_path, GEMMA_2B)))
    assert weighed.parameters.total == 2_506_172_416
    assert weighed.parameters.embedding == 524_288_000
    assert weighed.weight_class == "heavy"
    assert weighed.dtypes["fp32"].weight_bytes == 4 * 2_506_172_416
    assert 1.5e9 < weighed.dtypes["q4_0"].decoded_bytes < 1.8e9
    assert weighed.dtypes["fp16"].memory_bytes > 2**32  # it computes in fp32: wasm32 cannot hold it
    assert weighed.dtypes["q4_0"].memory_bytes < 2**32
    assert weighed.dtypes["q4_0"].kv_bytes_per_token == 2 * 18 * 1 * 256 * 4


def test_smollm2_weighs_what_its_gguf_holds(tmp_path: Path) -> None:
    """Its own Q4_1 GGUF: the table in Q8_0, norms in fp32."""
    table, matrices = 28_311_552, 134_515_008 - 28_311_552 - NORMS_BYTES // 4
    weights = weights_of(config_file(tmp_path, SMOLLM2))["q4_1"]
    assert weights == table * 34 // 32 + matrices * 20 // 32 + NORMS_BYTES


def test_a_directory_and_a_nested_configuration(tmp_path: Path) -> None:
    config_file(tmp_path, {"model_type": "gemma3", "text_config": GEMMA_2B})
    assert weigh_source(str(tmp_path)).parameters.total == 2_506_172_416


def test_what_does_not_fill_blocks_stays_fp16(tmp_path: Path) -> None:
    odd = MINILM | {"hidden_size": 100, "num_hidden_layers": 1, "intermediate_size": 100}
    odd["num_attention_heads"] = 4
    matrices, vectors = 6 * 100 * 100 + 100 * 100, 100 * (2 + 4 + 2 + 1 + 1 + 2 + 1)
    weights = weights_of(config_file(tmp_path, odd))["q4_0"]
    assert weights == 2 * ((30522 + 512 + 2) * 100 + matrices) + 4 * vectors


def test_an_encoder_keeps_no_keys_and_values_and_computes_in_fp32(tmp_path: Path) -> None:
    dtypes = weigh_source(str(config_file(tmp_path, MINILM))).dtypes
    assert {size.kv_bytes_per_token for size in dtypes.values()} == {0}
    assert len({size.memory_bytes for size in dtypes.values()}) == 1


def test_what_zstd_leaves_is_a_range(tmp_path: Path) -> None:
    for size in weigh_source(str(config_file(tmp_path, SMOLLM2))).dtypes.values():
        least, most = size.wire_range
        assert least < size.wire_bytes < most < size.decoded_bytes


@pytest.mark.parametrize(
    ("text", "count"), [("2B", 2e9), ("22.7M", 22.7e6), ("135 m", 135e6), ("2.5e9", 2.5e9), ("7", 7)]
)
def test_a_count(text: str, count: float) -> None:
    weighed = weigh_count(text)
    assert weighed.parameters.total == round(count)
    assert weighed.dtypes["fp16"].decoded_bytes == pytest.approx(2 * count, abs=512)
    assert weighed.dtypes["fp16"].kv_bytes_per_token is None


@pytest.mark.parametrize("text", ["", "many", "2X", "-2B", "2B3", "9e99", "٣B"])
def test_what_is_no_count_is_named(text: str) -> None:
    with pytest.raises(SourceError, match="is not a count of parameters, like 2B"):
        weigh_count(text)


def test_a_budget_says_what_fits() -> None:
    weighed = weigh_count("10M")
    assert within(weighed, "20MB", None) == ["fp16", "q8_0", "q4_1", "q4_0"]
    assert within(weighed, "5.3 mb", None) == ["q4_0"]
    assert within(weighed, None, "1GB") == list(weighed.dtypes)
    assert within(weighed, "20MB", "100MB") == ["q8_0", "q4_1", "q4_0"]
    says = r"no dtype fits 5MB on the wire and 70MB of memory: .* in 5\.2 MB, .* memory is 81\.0 MB"
    with pytest.raises(BudgetError, match=says):
        within(weighed, "5MB", "70MB")
    with pytest.raises(SourceError, match="'much' is not a number of bytes"):
        within(weighed, "much", None)


def test_only_what_was_asked_for() -> None:
    weighed = weigh_count("10M", weighable(["q6_k", "q3"]))
    assert list(only(weighed, ["q4_1"]).dtypes) == ["q4_1"]
    assert only(weighed, ["q6_k"]).dtypes["q6_k"].weight_bytes == -(-10_000_000 // 256) * 210
    with pytest.raises(SourceError, match=r"'q3' is no dtype; there are: fp32.* q4_k"):
        only(weighed, ["q3"])


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
        weigh_source(str(tmp_path))


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"config\.json cannot be read: give a directory"):
        weigh_source(str(tmp_path))
    with pytest.raises(SourceError, match=r"nothing cannot be read: give a directory"):
        weigh_source("nothing")


def test_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the hub's own cache, which is all that can be had where no hub is reached."""
    folder = tmp_path / "models--google--gemma-2b"
    config_file_at = folder / "snapshots" / ("a" * 40)
    config_file_at.mkdir(parents=True)
    config_file(config_file_at, GEMMA_2B)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert weigh_source("google/gemma-2b").parameters.total == 2_506_172_416
    with pytest.raises(SourceError, match="nobody/nothing is no file here, and its config"):
        weigh_source("nobody/nothing")


def test_the_command(tmp_path: Path) -> None:
    run = CliRunner().invoke
    path = str(config_file(tmp_path, GEMMA_2B))
    shown = run(app, ["weigh", path, "--budget", "2GB"])
    assert shown.exit_code == 0
    assert "heavyweight: 2,506.2 M parameters" in shown.stdout
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("q4_1 ")]
    seconds = "43 min 11 min 2 min yes"  # 1,619 MB at 5, 20 and 100 Mbit/s
    assert " ".join(row.split()) == f"q4_1 1,619 1,547-1,745 1,804 2,916 3,045 37 {seconds}"
    assert "…" not in shown.stdout  # in 80 columns
    assert "WASM addresses 4,295 MB, so it cannot open: fp32, fp16" in shown.stdout
    told = json.loads(run(app, ["weigh", "--params", "2B", "--budget", "2GB", "--json"]).stdout)
    assert set(told["parameters"]) == {"total", "stored", "embedding"}
    assert told["weight_class"] == "heavy"
    assert told["dtypes"]["q4_1"]["decoded_bytes"] == 1_250_000_000
    wanted = {"wire_bytes", "decoded_bytes", "memory_bytes", "kv_bytes_per_token"}
    assert all(wanted <= set(size) for size in told["dtypes"].values())
    assert told["within_budget"] == ["q8_0", "q4_1", "q4_0"]
    one = json.loads(run(app, ["weigh", path, "--dtype", "q4_0", "--json"]).stdout)
    assert list(one["dtypes"]) == ["q4_0"]
    assert isinstance(run(app, ["weigh", path, "--budget", "20MB"]).exception, BudgetError)
    assert isinstance(run(app, ["weigh", path, "--memory", "1GB"]).exception, BudgetError)
    for words in ([], [path, "--params", "2B"]):
        refused = run(app, ["weigh", *words])
        assert refused.exit_code == 2
        assert "either a source or --params" in refused.output
