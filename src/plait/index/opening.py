"""Open an index: the folder of one, or one that was published as a Lance table."""

from __future__ import annotations

from pathlib import Path

from plait.data.remote.address import scheme_of
from plait.files import given_path
from plait.index.embedder import Embedder
from plait.index.index import Index


def open_index(folder: str | Path, model: Embedder | str | Path | None = None, *, allow_remote: bool = False) -> Index:
    """Open an index for searching and changing; a published one (``NAME.lance``) for searching alone.

    Args:
        folder: The index; or where :func:`publish_index` wrote it, such as ``s3://bucket/photos.lance``.
        model: A model folder or model, where the one that built it lies elsewhere now.
        allow_remote: Reach an address.

    Raises:
        FileNotFoundError: No index there.
        DamagedIndexError: Its files do not fit together.
        ValueError: An address that was not allowed, or one that names no Lance table.
    """
    given_path(folder, "folder", example="photos.index")
    if is_published(folder):
        from plait.index.published import PublishedIndex

        return PublishedIndex(str(folder), model, allow_remote=allow_remote)
    return Index(Path(folder), model)


def publish_index(index: Index, place: str | Path, *, allow_remote: bool = False, overwrite: bool = False) -> int:
    """Write the living items of an index, with their vectors, as one Lance table; returns how many. Extra ``lance``.

    :func:`open_index` opens it for searching, from any machine that reaches it. A version that readers hold stays as it
    is while another is written over it.

    Args:
        index: What is written; it stays as it is.
        place: ``s3://bucket/name.lance`` (or ``gs://``, ``az://``), or a folder ``name.lance``. Endpoint and
            credentials are those of the environment: ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` and so on.
        allow_remote: Write to an address.
        overwrite: Replace a table that is there.

    Raises:
        ImportError: The extra is not installed.
        ValueError: The index is empty, the place is no good, or not allowed.
        FileExistsError: A table is there.
        OSError: It cannot be written.
    """
    given_path(place, "place", example="photos.lance")
    from plait.index.published import publish

    return publish(index, str(place), allow_remote=allow_remote, overwrite=overwrite)


def is_published(place: str | Path) -> bool:
    """Whether a place names a published index rather than the folder of one: an address, or a name in ``.lance``."""
    if scheme_of(place) is not None:
        return True
    return Path(place).name.endswith(".lance") and not (Path(place) / "index.json").exists()
