"""One part of a batch answered and written: what a worker does, whether it is this process or another one.

It computes on one thread, and keeps the features of frozen encoders beside the parts only until a chunk of rows is
answered: so a part has the same bytes whoever makes it, and neither memory nor the feature store grows with the rows.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from plait.api.answering import answer_chunks
from plait.api.believed import Believed
from plait.api.fit import load
from plait.api.folder_swap import current
from plait.api.model_manifest import NAME as MODEL_MANIFEST
from plait.api.prediction_file import PredictionFile
from plait.api.reading import reading_settings
from plait.data.progress import Progress
from plait.data.table import Table
from plait.files import file_sha256
from plait.inputs.feature_store import FeatureStore
from plait.inputs.prepare import prepare
from plait.training.fitted import FittedParts

if TYPE_CHECKING:
    from plait.api.predictor import Plait

FEATURES = ".features-"  # begins the name of the folder of a chunk's features


@dataclass(frozen=True)
class How:
    """What decides the bytes of the parts beside model and rows.

    Attributes:
        on_bad_row: "missing", "skip" or "error".
        format: Ending of the parts: "parquet", "csv" or "jsonl".
        coverage: As ``method`` and ``abstain_above`` of :meth:`plait.Plait.predict`.
        set: As of :meth:`plait.Plait.predict`.
        escape: As ``bom`` of :class:`plait.api.PredictionFile`.
        encodes: Put the features of the rows into the feature store, and answer nothing.
    """

    on_bad_row: str = "missing"
    format: str = "parquet"
    coverage: float | None = None
    method: str | None = None
    abstain_above: float | None = None
    set: tuple[str, ...] = ()
    escape: bool = True
    bom: bool = False
    encodes: bool = False

    @property
    def believed(self) -> Believed:
        """What is asked for beside the answers."""
        return Believed(self.coverage, self.method, self.abstain_above)

    def apply_to(self, fitted: FittedParts) -> None:
        """Let a model that was just loaded read as ``set`` says."""
        reading_settings(fitted, None, None, None, allow_outside=False, allow_remote=False, set=self.set)


@dataclass(frozen=True)
class PartFacts:
    """What was learned of a part while it was written.

    Attributes:
        rows: Rows written.
        problems: Rows among them with a problem.
        first_problems: Row number and problem of the first of them.
        abstained: Rows whose answer was withheld.
        escaped: Texts that got an apostrophe.
        known: Rows that the model has seen, by what they did.
    """

    rows: int
    problems: int
    first_problems: list[list[Any]]
    abstained: int
    escaped: int
    known: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def model_sha256(folder: Path) -> str:
    """What tells a model from another: the hash of its manifest, which names the hash of every file.

    Raises:
        ValueError: It has no manifest, as models of an earlier version.
    """
    try:
        return file_sha256(current(folder) / MODEL_MANIFEST)
    except FileNotFoundError:
        raise ValueError(
            f"{folder / MODEL_MANIFEST} is missing, by which a run knows its model; save the model again "
            "(plait.load(FOLDER).save(FOLDER, overwrite=True))"
        ) from None


def load_same(folder: Path, sha256: str) -> Plait:
    """Load a model of which one knows which it is.

    Raises:
        ValueError: It was exchanged for another one meanwhile, or as :func:`plait.load`.
    """
    fitted = load(folder)
    if model_sha256(folder) != sha256:
        raise ValueError(f"the model in {folder} was exchanged for another one while it was used; start again")
    return fitted


def answer_part(
    fitted: FittedParts, table: Table, place: Path, how: How, *, wording: Callable[[str], str] | None = None,
    progress: Progress | None = None,
) -> PartFacts:  # fmt: skip
    """Answer the rows of a part and write them to a file.

    Args:
        fitted: The model.
        table: The rows.
        place: The file, which takes its place when it is whole; none is written where ``how`` only encodes.
        how: How.
        wording: Turns each problem into the words of whoever reads it.
        progress: Called with (done, total, what).

    Raises:
        ValueError: Bad rows under "error", or the file cannot be written.
    """
    if how.encodes:
        return encode_part(fitted, table, progress)
    file = PredictionFile(place, escape=how.escape, bom=how.bom, overwrite=True, wording=wording)
    store = partial(_features_beside, place.parent)
    known = how.believed.known_rows(fitted)
    chunks = answer_chunks(
        fitted, table, how.believed, on_bad_row=how.on_bad_row, progress=progress, store=store, counted_in=known
    )
    with one_thread():
        file.write(chunks)
    first = [[row, problem] for row, problem in file.first_problems]
    return PartFacts(file.rows, file.problems, first, file.abstained, file.escaped, known.counts)


def encode_part(fitted: FittedParts, table: Table, progress: Progress | None = None) -> PartFacts:
    """Put what frozen encoders make of the rows of a part into the feature store, if it is not there.

    Args:
        fitted: The model.
        table: The rows.
        progress: Called with (done, total, what).

    Raises:
        FeatureStoreError: The store cannot be written.
    """
    bad = prepare(table, fitted.inputs, store=FeatureStore(), progress=progress).rows.bad
    first = [[one.row, f"{one.column}: {one.reason}" if one.column else one.reason] for one in bad]
    return PartFacts(len(table), len({one.row for one in bad}), first[:5], 0, 0, {})


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums are then added in one order, whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _features_beside(folder: Path) -> Iterator[FeatureStore]:
    with tempfile.TemporaryDirectory(prefix=FEATURES, dir=folder, ignore_cleanup_errors=True) as place:
        yield FeatureStore(place)
