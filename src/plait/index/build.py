"""Building an index: a new folder, or the one whose build was stopped."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from plait.api.watching import WatchedBy, watched
from plait.data.memory import bounded
from plait.data.table_like import TableLike
from plait.files import given_path
from plait.index.backends import BACKENDS
from plait.index.embedder import Embedder, check_model, load_embedder, pick_modality
from plait.index.index import Index
from plait.index.intake import BLOCK
from plait.index.intake_report import Intake
from plait.index.lock import write_lock, write_message
from plait.index.manifest import NAME, IndexFolderError, Manifest, read_manifest, write_manifest
from plait.index.source import read_source
from plait.index.storage import Change


@watched
@bounded
def build_index(
    model: Embedder | str | Path,
    source: TableLike,
    output: str | Path,
    *,
    modality: str | None = None,
    backend: str = "exact",
    uri: str | None = None,
    check: bool = False,
    on_bad_row: str = "skip",
    block: int = BLOCK,
    memory: str | int | None = None,
    progress: WatchedBy = None,
    **reading: Any,
) -> tuple[Index, Intake]:
    """Build an index, go on with a build that was stopped, or take up what changed in its source since.

    Args:
        model: A retrieval model or its folder.
        source: A folder of files, a table, or a COCO folder or captions file.
        output: Folder of the index.
        modality: What of each row is embedded; by default the image side, or the sounds where there is none.
        backend: "exact", or "lance" (``pip install plait[lance]``).
        uri: With LanceDB, where its table lies (``s3://...``); by default in the folder.
        check: Built before: hash every file again, not only those of another size or time of change.
        on_bad_row: "skip" (left out, listed, counted) or "error".
        block: Rows a commit.
        memory: Most memory that this process may hold, such as "4GB"; None: four fifths of what is free.
        progress: Called with (done, total, what).
        reading: id, column, prefix, format, encoding, annotations, allow_outside, allow_remote; see
            :func:`plait.index.source.read_source`.

    Returns:
        The index, and what became of the rows.

    Raises:
        ValueError: A model that does not embed, another model, source or modality than the index has, a folder
            that holds other files.
        IndexFolderError: The folder cannot be written, or another process writes.
    """
    folder = given_path(output, "output", example="photos.index")
    BACKENDS.get(backend)  # a wrong name is reported before the model is loaded
    if uri is not None and backend != "lance":
        raise ValueError(f"uri= goes with backend='lance'; the backend is {backend!r}")
    embedder = load_embedder(model)
    chosen = pick_modality(embedder, modality, "image", "audio")
    there = read_manifest(folder) if os.path.lexists(folder / NAME) else None
    if there is not None:
        check_model(embedder, there, model, folder)
        if there.modality != chosen and modality is not None:
            raise ValueError(f"{folder} indexes {there.modality.name!r}, not {chosen.name!r}; choose another output=")
        if there.backend != backend:
            raise ValueError(f"{folder} has the backend {there.backend!r}, not {backend!r}; choose another output=")
        chosen = there.modality
    if there is not None:
        reading = Index(folder, embedder).remembered(source, reading)
    made = read_source(source, chosen, **reading)
    _prepare(folder, is_new=there is None)
    with write_lock(folder):
        if not os.path.lexists(folder / NAME):
            hint = str(Path(model).absolute()) if isinstance(model, str | Path) else None
            start = Manifest(embedder.fingerprint, hint, chosen, embedder.dim, embedder.plain_dim, backend, uri)
            try:
                write_manifest(folder, start)
            except OSError as error:
                raise IndexFolderError(write_message(folder, error)) from error
    index = Index(folder, model)
    index.use(embedder)
    known = [fact.source for fact in index.manifest.sources]
    if known and made.source not in known:
        raise ValueError(
            f"{folder} was built from {known[0]}; type plait index add {folder} SOURCE for a further source, or plait "
            f"index move {folder} OLD NEW where it lies elsewhere now"
        )
    with index.writing():
        number = index.number_of(made.source) or 0
        report = index.take_in(made, number, check=check, progress=progress, on_bad_row=on_bad_row, block=block)
    if isinstance(model, str | Path) and index.manifest.model is None:
        with index.writing():
            index.storage.commit(Change(), replace(index.manifest, model=str(Path(model).absolute())))
    return index, report


def _prepare(folder: Path, *, is_new: bool) -> None:
    """Make the folder; one that holds something else is refused."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the index")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IndexFolderError(write_message(folder, error)) from error
    ours = ("lock", "tmp-", "lance")
    strange = sorted(path.name for path in folder.iterdir() if not path.name.startswith(ours))
    if is_new and strange:
        raise ValueError(f"{folder} holds other files ({strange[0]} for one) and no index; choose another output=")
