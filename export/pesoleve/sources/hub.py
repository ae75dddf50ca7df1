"""A model on the Hugging Face Hub, at a revision, through the hub's own cache."""

from __future__ import annotations

from pathlib import Path

from ..errors import SourceError
from ..recipe_base import HubSource
from .files import REQUIRED, WEIGHTS, WEIGHTS_INDEX, ModelSource, check_files

PATTERNS = [*REQUIRED, WEIGHTS, WEIGHTS_INDEX, "model-*.safetensors", "tokenizer_config.json"]


def from_hub(source: HubSource) -> ModelSource:
    """Download what is not cached and return the snapshot; ``HF_HUB_OFFLINE=1`` uses the cache only.

    The revision kept is the commit that the snapshot is of, whatever name was asked for.

    Raises:
        SourceError: when the repository, the revision or the network is not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = f"{source.repo} at {source.revision}"
    try:
        directory = Path(
            snapshot_download(source.repo, revision=source.revision, allow_patterns=PATTERNS)
        )
    except RevisionNotFoundError as error:
        raise SourceError(
            f"{source.repo} has no revision {source.revision!r}. Set 'source.revision' to one it has."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise SourceError(
            f"the hub has no model {source.repo!r} that you may read. Check 'source.repo'; for a "
            f"gated model, run: huggingface-cli login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise SourceError(
            f"{name} is not in the hub cache and the hub cannot be reached. Connect, or unset "
            f"HF_HUB_OFFLINE, or use a 'directory' source."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SourceError(f"the hub could not serve {name}: {error}. Try again.") from error
    remedy = f"Delete {directory} and build again to download it afresh."
    sha256 = check_files(directory, remedy)
    return ModelSource("hub", source.repo, directory.name, directory, sha256)
