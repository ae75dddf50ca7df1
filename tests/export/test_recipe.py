from __future__ import annotations

import re
from pathlib import Path

import pytest

from pesoleve.errors import RecipeError
from pesoleve.recipe import DecoderRecipe, Dtype, Recipe, WeightsDtype, bundled, load_recipe
from pesoleve.recipe_base import DirectorySource, GgufSource, HubSource, PackageSource
from tests.tiny_decoder_recipe import write_decoder_recipe
from tests.tiny_recipe import write_recipe


def load(tmp_path: Path, *changes: tuple[str, str]) -> Recipe:
    recipe = load_recipe(str(write_recipe(tmp_path / "recipe.toml", "model", *changes)))
    assert isinstance(recipe, Recipe)
    return recipe


def refusal(tmp_path: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, *changes)
    return str(caught.value)


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_recipe_loads_by_its_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.id == name
    if isinstance(recipe, Recipe):
        assert recipe.dtypes[recipe.base_dtype].bits == 32
    else:
        assert recipe.default_dtype in recipe.dtypes


def test_a_recipe_loads_by_its_path(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert recipe.title.pt_br.startswith("Miúdo")
    assert recipe.dtypes["q4"] == Dtype(bits=4, block_size=32, max_loss=1)
    assert recipe.base_dtype == "fp32"


def test_a_relative_directory_is_relative_to_the_recipe(tmp_path: Path) -> None:
    source = load(tmp_path).source
    assert isinstance(source, DirectorySource)
    assert source.path == tmp_path / "model"


def test_an_absolute_directory_stays(tmp_path: Path) -> None:
    source = load(tmp_path, ('path = "model"', 'path = "/models/tiny"')).source
    assert isinstance(source, DirectorySource)
    assert source.path == Path("/models/tiny")


def test_a_source_is_of_the_kind_it_says(tmp_path: Path) -> None:
    directory = 'kind = "directory"\npath = "model"'
    hub = load(tmp_path, (directory, 'kind = "hub"\nrepo = "org/tiny"\nrevision = "main"'))
    assert hub.source == HubSource(kind="hub", repo="org/tiny", revision="main")
    package = load(tmp_path, (directory, 'kind = "package"\nname = "tiny"\nversion = "1"\npath = "m"'))
    assert package.source == PackageSource(kind="package", name="tiny", version="1", path="m")


@pytest.mark.parametrize(
    ("old", "new", "where", "right"),
    [
        ("[canary]", "[canari]", "canari", "canary"),
        ('task = "', 'tasc = "', "tasc", "task"),
        ("pt-BR = ", "pt-Br = ", "title.pt-Br", "pt-BR"),
        ('path = "', 'pth = "', "source.directory.pth", "path"),
        ("max_length", "max_lenght", "export.max_lenght", "max_length"),
        ("normalize", "normalise", "pooling.normalise", "normalize"),
        ("bits = 4", "bit = 4", "dtypes.q4.bit", "bits"),
        ("block_size = 64", "blocksize = 64", "dtypes.q8.blocksize", "block_size"),
        ("tolerance", "tolerence", "canary.tolerence", "tolerance"),
    ],
)
def test_an_unknown_key_names_the_nearest_right_one(
    tmp_path: Path, old: str, new: str, where: str, right: str
) -> None:
    message = refusal(tmp_path, (old, new))
    assert f"{where}: unknown key; did you mean {right!r}?" in message
    assert str(tmp_path / "recipe.toml") in message


def test_an_unknown_key_of_a_source_is_judged_by_its_kind(tmp_path: Path) -> None:
    hub = 'kind = "hub"\nrepo = "org/tiny"\nrevison = "main"'
    message = refusal(tmp_path, ('kind = "directory"\npath = "model"', hub))
    assert "source.hub.revison: unknown key; did you mean 'revision'?" in message
    assert "source.hub.revision: Field required" in message


def test_an_unknown_key_like_no_other_lists_the_right_ones(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("bits = 4", "bits = 4\nzzz = 1"))
    assert "dtypes.q4.zzz: unknown key; there are: bits, block_size, max_loss" in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("bits = 4", "bits = 5"), ("max_length = 24", "max_length = 1"))
    assert "dtypes.q4.bits" in message
    assert "export.max_length" in message


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("block_size = 32", "block_size = 33", "dtypes.q4.block_size"),
        ("max_loss = 1", "max_loss = -1", "dtypes.fp32.max_loss"),
        ('mode = "mean"', 'mode = "max"', "pooling.mode"),
        ('kind = "directory"', 'kind = "torrent"', "source"),
        ('kind = "directory"\n', "", "source"),
        ('id = "tiny-bert"', 'id = "Tiny BERT"', "id"),
        (
            'inputs = ["a man is playing a guitar", "how much is a feather"]',
            "inputs = []",
            "inputs",
        ),
        ("tolerance = 0.002", "tolerance = 0", "canary.tolerance"),
        ("max_length = 24", 'max_length = 24\nopset = "9"', "export.opset"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, old: str, new: str, where: str) -> None:
    assert re.search(rf"^  [a-z_.]*{re.escape(where)}: ", refusal(tmp_path, (old, new)), re.M)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[dtypes.q4]", '[dtypes."Q4-K"]'),
        ('url = "https:', 'url = "http:'),
        ('name = "CC0-1.0"', 'name = ""'),
        ('en = "Random weights."', 'en = ""'),
        ("tolerance = 0.002", "tolerance = inf"),
    ],
)
def test_what_the_catalog_cannot_hold_is_refused_before_the_build(
    tmp_path: Path, old: str, new: str
) -> None:
    assert "is not valid" in refusal(tmp_path, (old, new))


def test_a_recipe_without_an_unreduced_dtype_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("bits = 32", "bits = 8"))
    assert "one dtype must have bits = 32" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.toml"
    with pytest.raises(RecipeError, match=f"cannot read recipe {path}: No such file"):
        load_recipe(str(path))


def test_a_file_that_is_not_toml_is_named_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('id = "tiny"\ntask =\n')
    with pytest.raises(RecipeError, match=r"broken\.toml is not valid TOML: .*line 2"):
        load_recipe(str(path))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"binary\.toml is not valid TOML"):
        load_recipe(str(path))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'minilm-l7'; did you mean 'minilm-l6'\?"):
        load_recipe("minilm-l7")


def test_an_unknown_name_like_no_other_lists_them_all() -> None:
    with pytest.raises(RecipeError, match=f"there are: {', '.join(bundled())}"):
        load_recipe("qqqqqqqq")


# --- decoders ---


def load_decoder(tmp_path: Path, *changes: tuple[str, str]) -> DecoderRecipe:
    recipe = load_recipe(str(write_decoder_recipe(tmp_path / "recipe.toml", "m.gguf", *changes)))
    assert isinstance(recipe, DecoderRecipe)
    return recipe


def decoder_refusal(tmp_path: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(RecipeError) as caught:
        load_decoder(tmp_path, *changes)
    return str(caught.value)


def test_a_decoders_recipe_loads(tmp_path: Path) -> None:
    recipe = load_decoder(tmp_path)
    assert recipe.source == GgufSource(kind="gguf", path=tmp_path / "m.gguf")
    assert recipe.dtypes["q4_1"] == WeightsDtype(method="exact_gguf", max_kl=1e-6)
    assert (recipe.measure.tokens, recipe.measure.window, recipe.canary.tokens) == (128, 64, 4)


def test_a_gguf_inside_a_package_keeps_its_path(tmp_path: Path) -> None:
    change = ('path = "m.gguf"', 'package = "llm-tiny"\nversion = "1"\npath = "llm_tiny/m.gguf"')
    source = load_decoder(tmp_path, change).source
    assert isinstance(source, GgufSource)
    assert (source.package, source.path) == ("llm-tiny", Path("llm_tiny/m.gguf"))


@pytest.mark.parametrize(
    ("old", "new", "where", "right"),
    [
        ("default_dtype", "default_dtpye", "default_dtpye", "default_dtype"),
        ("max_kl", "maxkl", "dtypes.q4_1.maxkl", "max_kl"),
        ('method = "fp32"', 'methd = "fp32"', "dtypes.fp32.methd", "method"),
        ("window", "windows", "measure.windows", "window"),
        ("tokens = 4\n", "token = 4\n", "canary.token", "tokens"),
        ('path = "m', 'paht = "m', "source.gguf.paht", "path"),
        ("[canary]", "[pooling]", "pooling", ""),
    ],
)
def test_an_unknown_key_of_a_decoder_names_the_nearest_right_one(
    tmp_path: Path, old: str, new: str, where: str, right: str
) -> None:
    message = decoder_refusal(tmp_path, (old, new))
    assert f"{where}: unknown key" in message
    assert not right or f"did you mean {right!r}?" in message


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('method = "fp32"', 'method = "awq"', "dtypes.fp32.method"),
        ('method = "fp32"', 'method = "rtn"\nbits = 1', "dtypes.fp32.bits"),
        ('method = "fp32"', 'method = "rtn"\nblock_size = 48', "dtypes.fp32.block_size"),
        ('method = "fp32"', 'method = "rtn"\nscale_bits = 11', "dtypes.fp32.scale_bits"),
        ("max_kl = 0.000001", "max_kl = -1", "dtypes.q4_1.max_kl"),
        ("tokens = 128", "tokens = 63", "measure.tokens"),
        ("window = 64", "window = 15", "measure.window"),
        ("tokens = 4\n", "tokens = 0\n", "canary.tokens"),
        ('"Peso leve!"]', '""]', "canary.inputs.1"),
        ('"state-of-the-union"', '"wikitext"', "measure.dataset"),
        ('path = "m.gguf"', 'path = "m.gguf"\npackage = "llm-tiny"', "source.gguf"),
    ],
)
def test_a_value_of_a_decoder_out_of_range_is_named(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    message = decoder_refusal(tmp_path, (old, new))
    assert re.search(rf"^  {re.escape(where)}: ", message, re.M), message


def test_a_default_that_is_no_dtype_is_refused(tmp_path: Path) -> None:
    message = decoder_refusal(tmp_path, ('default_dtype = "q4_1"', 'default_dtype = "q2"'))
    assert "default_dtype should be one of q4_1, fp32" in message


def test_a_task_that_is_none_is_named(tmp_path: Path) -> None:
    message = decoder_refusal(tmp_path, ('task = "text_generation"', 'task = "translation"'))
    assert "  task: " in message
