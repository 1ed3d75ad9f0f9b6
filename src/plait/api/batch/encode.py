"""A table encoded into the feature store ahead of its use, by one process, several, or workers of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait.api.batch.on_ray import check_ray
from plait.api.batch.part_work import Counted, PartWork
from plait.api.batch.run import check_counts
from plait.api.batch.source import open_rows
from plait.api.batch.work import How, load_same, model_sha256
from plait.api.chunks import CHUNK_ROWS
from plait.api.folder_checks import check_model_there
from plait.api.watching import WatchedBy, watched
from plait.files import given_path
from plait.inputs.feature_store import FeatureStore


@dataclass(frozen=True)
class EncodeResult:
    """What encoding a table came to.

    Attributes:
        store: Folder of the feature store.
        rows: Rows of the table.
        parts: How many parts they were cut into.
        items: Texts, pictures, sounds that the store has more than before.
        problems: Rows with a cell that cannot be read.
        first_problems: Row number and problem of the first of them.
    """

    store: Path
    rows: int
    parts: int
    items: int
    problems: int
    first_problems: tuple[tuple[int, str], ...]


@watched
def encode_to_store(
    model: str | Path, table: Any, *, workers: int | None = None, ray: str | None = None, part_rows: int = CHUNK_ROWS,
    allow_outside: bool = False, allow_remote: bool = False, format: str | None = None, encoding: str | None = None,
    progress: WatchedBy = None,
) -> EncodeResult:  # fmt: skip
    """Encode a table with the frozen encoders of a model, into the feature store.

    What is there already is left as it is, so the same call goes on where an earlier one was cut short, and several
    processes never encode an item twice. A later fit with the same encoders, on any rows of the table, begins with
    all of it encoded. A Parquet file is read piece by piece.

    Args:
        model: A model folder; one of a fit on some of the rows will do.
        table: Anything ``plait.data.table.read_table`` takes.
        workers: As of :func:`plait.api.predict_to_folder`, like ``ray``. Workers on other machines need the cache
            (``PLAIT_CACHE``) in a folder that all share, under one path.
        ray: See there.
        part_rows: Most rows that a worker gets at once.
        allow_outside: As for :meth:`plait.Plait.predict`, like ``allow_remote``, ``format`` and ``encoding``.

    Returns:
        What it came to.

    Raises:
        ValueError: An argument is out of range, the table cannot be read, or the model has no frozen encoders.
        FeatureStoreError: The store cannot be written.
        WorkerDiedError: A worker was killed; what is encoded stands.
        ImportError: With ``ray``, which is not installed.
    """
    check_counts(workers, part_rows)
    if ray is not None:
        check_ray(ray)
    check_model_there(given_path(model, "model"))
    sha256 = model_sha256(Path(model))
    fitted = load_same(Path(model), sha256)
    if not fitted.inputs.frozen:
        raise ValueError(f"no encoder of {model} is frozen, so that there is nothing to keep for later")
    source = open_rows(
        fitted, table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote, set=[],
        part_rows=part_rows,
    )  # fmt: skip
    store, made = FeatureStore(), Counted()
    before = sum(space.num_items for space in store.ls())
    work = PartWork(fitted, source, made, How(encodes=True), None, progress, what="encoding")
    count = work.run(Path(model), sha256, workers, ray)
    facts = [made.done[number].facts for number in range(count)]
    first = [(row, problem) for one in facts for row, problem in one.first_problems][:5]
    items = sum(space.num_items for space in store.ls()) - before
    return EncodeResult(
        Path(store.root), source.rows, count, items, sum(one.problems for one in facts), tuple(first)
    )  # fmt: skip
