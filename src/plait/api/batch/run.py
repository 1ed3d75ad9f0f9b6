"""A table predicted into a folder of parts, by one process or several, going on where an earlier run was cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait import __version__
from plait.api.batch.folder import BatchFolder
from plait.api.batch.on_ray import check_ray
from plait.api.batch.part_work import PartWork
from plait.api.batch.source import PART_ROWS, open_rows
from plait.api.batch.work import How, load_same, model_sha256
from plait.api.believed import KnownRows
from plait.api.folder_checks import check_model_there
from plait.api.prediction_file import WRITERS
from plait.api.reading import with_decimal
from plait.api.watching import WatchedBy, watched
from plait.data.memory import bounded
from plait.files import given_path, room_for
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES
from plait.training.fitted import FittedParts

GO_ON = "make room and type the same again: it goes on after the parts that are whole"


@dataclass(frozen=True)
class BatchResult:
    """What a run of predictions came to.

    Attributes:
        folder: Where the parts are.
        rows: Rows in all of them.
        parts: How many there are.
        went_on: How many of them an earlier run had made.
        problems: Rows with a problem.
        first_problems: Row number and problem of the first of them.
        abstained: Rows whose answer was withheld.
        escaped: Texts that got an apostrophe.
        read_whole: Whether the table was held in memory as a whole.
    """

    folder: Path
    rows: int
    parts: int
    went_on: int
    problems: int
    first_problems: tuple[tuple[int, str], ...]
    abstained: int
    escaped: int
    read_whole: bool


@watched
@bounded
def predict_to_folder(
    model: str | Path, table: Any, folder: str | Path, *, workers: int | None = None, part_rows: int = PART_ROWS,
    output_format: str = "parquet", on_bad_row: str = "missing", allow_outside: bool = False,
    allow_remote: bool = False,
    format: str | None = None, encoding: str | None = None, decimal: str | None = None, set: Sequence[str] = (),
    coverage: float | None = None, method: str | None = None, abstain_above: float | None = None,
    escape_formulas: bool = True, bom: bool = False, overwrite: bool = False,
    ray: str | None = None, wording: Callable[[str], str] | None = None, memory: str | int | None = None,
    progress: WatchedBy = None,
) -> BatchResult:  # fmt: skip
    """Predict a table into a folder of parts; the same call goes on where an earlier one was cut short.

    A Parquet file and a large CSV file are read piece by piece, so memory does not grow with their rows; other tables
    are read whole first.
    Answers are those of :meth:`plait.Plait.predict`, and the same bytes for any number of workers.

    Args:
        model: A model folder.
        table: Anything ``plait.data.table.read_table`` takes.
        folder: Where the parts go, ``part-00000.parquet`` and so on, and ``manifest.json`` last. New, empty, or that
            of the same run.
        workers: Processes that answer, each with the model in memory and on one core; 1: this process. None: 1, or
            with ``ray`` as many as the cluster has cores.
        part_rows: Most rows of a part, 1 or more; a part ends before it has so many where their cells take 128 MB.
        output_format: "parquet", "csv" or "jsonl".
        on_bad_row: As for :meth:`plait.Plait.predict`, like ``allow_outside``, ``allow_remote`` to
            ``abstain_above``; under "error" the run ends with the first part that has bad rows, and those before it
            stand.
        escape_formulas: In CSV, an apostrophe before text that a spreadsheet would run.
        bom: Begin each CSV file with a byte order mark.
        overwrite: Replace the predictions that are in the folder, finished or not.
        ray: Let workers of Ray answer (extra ``ray``): "local" for some of this machine, "auto" for the cluster of
            which it is a part, or the address of that cluster. The folder is the same as without it, and a run may go
            on with or without it. Machines need the same Plait, and the model and the files that cells name under the
            same paths; table and folder are those of the asking machine alone.
        wording: A function of a module, which turns each problem into the words of whoever reads it.
        memory: Most memory that this process and its workers may hold together, such as "4GB".
        progress: Called with (done, total, what).

    Returns:
        What it came to; where the folder holds this very run, finished, nothing is done.

    Raises:
        ValueError: An argument is out of range, the table cannot be read, or the folder belongs to another run, to
            another process or to something else; or as :meth:`plait.Plait.predict`.
        DiskFullError: The disk is full; the parts that are whole stand.
        WorkerDiedError: A worker was killed; likewise.
        RuntimeError: Four workers of Ray, which are started again, died over one part; likewise.
        ImportError: With ``ray``, which is not installed.
    """
    check_counts(workers, part_rows)
    _check(output_format, on_bad_row, bom)
    if ray is not None:
        check_ray(ray)
    check_model_there(given_path(model, "model"))
    sha256 = model_sha256(Path(model))
    fitted = load_same(Path(model), sha256)
    how = How(
        on_bad_row, output_format, coverage, method, abstain_above, tuple(with_decimal(decimal, set)),
        escape_formulas, bom,
    )  # fmt: skip
    how.believed.check(fitted)
    options = {
        "part_rows": part_rows, "output_format": output_format, "on_bad_row": on_bad_row, "coverage": coverage,
        "method": method, "abstain_above": abstain_above, "set": list(how.set), "escape_formulas": escape_formulas,
        "bom": bom, "allow_outside": allow_outside,
        "allow_remote": allow_remote, "format": format, "encoding": encoding,
    }  # fmt: skip
    made = BatchFolder(given_path(folder, "folder", example="answers"), {}, output_format)
    with made.held():
        source = open_rows(
            fitted, table, format=format, encoding=encoding, allow_outside=allow_outside,
            allow_remote=allow_remote, set=list(how.set),
            part_rows=part_rows,
        )  # fmt: skip
        made.identity |= {
            "plait": __version__, "model": sha256, "input": source.identity, "options": options,
        }  # fmt: skip
        finished = made.begin(overwrite=overwrite)
        went_on = len(made.done)
        if finished is None:
            work = PartWork(fitted, source, made, how, wording, progress)
            size = 2 * max((part.bytes for part in made.done.values()), default=10_000_000)
            with room_for(Path(folder), "the next part", size, GO_ON):
                count = work.run(Path(model), sha256, workers, ray)
                source.check_unchanged()
                finished = made.finish(count)
            _warn_of_known(fitted, how, made)
        else:
            went_on = len(finished["parts"])
    first = tuple((row, problem) for row, problem in finished["first_problems"])
    return BatchResult(
        Path(folder), finished["rows"], len(finished["parts"]), went_on, finished["problems"], first,
        finished["abstained"], finished["escaped"], not source.is_pieced,
    )  # fmt: skip


def check_counts(workers: int | None, part_rows: int) -> None:
    """Make sure that numbers of workers and of rows can be such.

    Raises:
        ValueError: One cannot.
    """
    for name, number in (("workers", 1 if workers is None else workers), ("part_rows", part_rows)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number from 1 on, got {number!r}")


def _check(output_format: str, on_bad_row: str, bom: bool) -> None:
    known = [suffix.lstrip(".") for suffix in WRITERS]
    if output_format not in known:
        raise ValueError(unknown_name("output format", output_format, known, where="output_format="))
    if bom and output_format != "csv":
        raise ValueError(f"a byte order mark goes with output_format='csv', got {output_format!r}")
    if on_bad_row not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", on_bad_row, list(BAD_ROW_POLICIES)))


def _warn_of_known(fitted: FittedParts, how: How, made: BatchFolder) -> None:
    """Warn of rows that the model has seen, counted over all parts."""
    known: KnownRows = how.believed.known_rows(fitted)
    for part in made.done.values():
        known.rows += part.facts.rows
        for what, number in part.facts.known.items():
            known.counts[what] = known.counts.get(what, 0) + number
    known.warn()
