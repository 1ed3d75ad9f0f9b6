"""A model by its name on a model hub: ``Plait.from_pretrained``, from the hub's cache, and fetched only when told to.

A model folder has the layout that hubs keep (``config.json``, ``model.safetensors``, a card): it is uploaded as it is.
Of a repository only the kinds of files are fetched that a model folder has; nothing of them is unpickled or run, and
``manifest.json`` is held against them as for any folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.files import DiskFullError, given_path, room_for

if TYPE_CHECKING:
    from plait.api.predictor import Plait

KINDS = ("*.json", "*.safetensors", "*.yaml", "*.csv", "*.html", "*.md", "*.model", "*.txt")
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def from_pretrained(
    cls: type[Plait], name: str | Path, *, revision: str | None = None, download: bool = False
) -> Plait:
    """Load a model from a folder, or by its name on the Hugging Face hub.

    Args:
        name: A model folder, or "user/name"; a folder of that name comes first.
        revision: Branch, tag or commit of the repository.
        download: Fetch what the hub's cache (``HF_HUB_CACHE``) lacks; else the network is not used.

    Raises:
        FileNotFoundError: No such folder, and no such repository in the cache; the message says what to type.
        ValueError: It cannot be fetched, is no model of Plait, or as :func:`plait.load`.
        DiskFullError: There is no room for it.

    Example:
        >>> import plait
        >>> plait.Plait.from_pretrained("somebody/no-such-model")
        Traceback (most recent call last):
        FileNotFoundError: somebody/no-such-model is no folder here ...
    """
    if not isinstance(name, str) or not name.strip():
        name = given_path(name, "name", example="user/name")
    if Path(name).is_dir():
        return cls.load(name)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FileNotFoundError(f"no model folder at {name}; expected a folder, or a name on the hub such as user/name")
    return cls.load(_snapshot(name, revision, download=download))


def _snapshot(name: str, revision: str | None, *, download: bool) -> Path:
    """Where the hub's cache keeps a repository."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    options: dict[str, Any] = {"revision": revision, "allow_patterns": list(KINDS)}
    cache, of = Path(constants.HF_HUB_CACHE), "" if revision is None else f" (revision {revision})"
    try:
        if not download:
            return Path(snapshot_download(name, local_files_only=True, **options))
        with room_for(cache, f"the model {name}", 0, "make room and fetch it again"):
            return Path(snapshot_download(name, **options))
    except DiskFullError:
        raise
    except LocalEntryNotFoundError as error:
        if not download:
            raise FileNotFoundError(
                f"{name} is no folder here and{of} not in the hub's cache ({cache}); fetch it with "
                f"plait.Plait.from_pretrained({name!r}, download=True)"
            ) from error
        raise ValueError(f"the hub cannot be reached for {name}{of}: {_short(error)}") from error
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        raise ValueError(f"{name}{of} cannot be fetched from the hub: {_short(error)}") from error


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
