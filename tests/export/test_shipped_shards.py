"""The models that the default recipes ship: each file in shards that stay below 16 MiB on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from pesoleve.catalog import read
from pesoleve.pack import SHARD_BYTES
from pesoleve_worker.catalog import Model

MODELS = Path(__file__).parents[2] / "site" / "models"


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {model.id: model for model in read(MODELS).models}


def test_no_shard_is_above_16_mib_on_the_wire(models: dict[str, Model]) -> None:
    weights = [file for model in models.values() for file in model.files if file.role == "weights"]
    assert len(weights) > len(models)
    for model in models.values():
        for file in model.files:
            assert 0 < file.bytes <= 16 << 20, file.path
            assert (MODELS / file.path).stat().st_size == file.bytes, file.path


def test_every_role_is_cut_at_the_same_places(models: dict[str, Model]) -> None:
    """Full shards, then one that is not empty: what a new version changes is where its weights are."""
    counts = set[int]()
    for model in models.values():
        for device, how in model.devices.items():
            for dtype in how.files:
                for role, shards in model.files_for(device, dtype).items():
                    if any(not shard.path.startswith(f"{model.id}/") for shard in shards):
                        continue  # an adapter, behind the last shard of the model whose base it shares
                    where = f"{model.id} {dtype} on {device}: {role}"
                    *full, last = [file.decoded_bytes for file in shards]
                    assert set(full) <= {SHARD_BYTES}, where
                    assert 0 < last <= SHARD_BYTES, where
                    counts.add(len(shards))
    assert min(counts) == 1 < max(counts)  # else nothing was cut
