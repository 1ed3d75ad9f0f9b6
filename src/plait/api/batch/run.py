"""A table predicted into a folder of parts, by one process or several, going on where an earlier run was cut short."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait import __version__
from plait.api.batch.folder import BatchFolder
from plait.api.batch.source import PART_ROWS, RowSource, TablePart, open_rows
from plait.api.batch.work import How, PartFacts, answer_part, load_same, model_sha256
from plait.api.batch.worker import Worker
from plait.api.believed import KnownRows
from plait.api.folder_checks import check_model_there
from plait.api.prediction_file import WRITERS
from plait.api.reading import with_decimal
from plait.api.watching import WatchedBy, watched
from plait.data.memory import bounded, share_of_bound
from plait.data.progress import Progress
from plait.files import room_for
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
    model: str | Path, table: Any, folder: str | Path, *, workers: int = 1, part_rows: int = PART_ROWS,
    output_format: str = "parquet", on_bad_row: str = "missing", allow_outside: bool = False,
    allow_remote: bool = False,
    format: str | None = None, encoding: str | None = None, decimal: str | None = None, set: Sequence[str] = (),
    coverage: float | None = None, method: str | None = None, abstain_above: float | None = None,
    escape_formulas: bool = True, bom: bool = False, overwrite: bool = False,
    wording: Callable[[str], str] | None = None, memory: str | int | None = None, progress: WatchedBy = None,
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
        workers: Processes that answer, each with the model in memory and on one core; 1: this process.
        part_rows: Most rows of a part, 1 or more; a part ends before it has so many where their cells take 128 MB.
        output_format: "parquet", "csv" or "jsonl".
        on_bad_row: As for :meth:`plait.Plait.predict`, like ``allow_outside``, ``allow_remote`` to
            ``abstain_above``; under "error" the run ends with the first part that has bad rows, and those before it
            stand.
        escape_formulas: In CSV, an apostrophe before text that a spreadsheet would run.
        bom: Begin each CSV file with a byte order mark.
        overwrite: Replace the predictions that are in the folder, finished or not.
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
    """
    _check(workers, part_rows, output_format, on_bad_row, bom)
    check_model_there(Path(model))
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
    made = BatchFolder(Path(folder), {}, output_format)
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
            work = _Work(fitted, source, made, how, wording, progress)
            size = 2 * max((part.bytes for part in made.done.values()), default=10_000_000)
            with room_for(Path(folder), "the next part", size, GO_ON):
                count = work.run(Path(model), sha256, workers)
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


def _check(workers: int, part_rows: int, output_format: str, on_bad_row: str, bom: bool) -> None:
    for name, number in (("workers", workers), ("part_rows", part_rows)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number from 1 on, got {number!r}")
    known = [suffix.lstrip(".") for suffix in WRITERS]
    if output_format not in known:
        raise ValueError(unknown_name("output format", output_format, known, where="output_format="))
    if bom and output_format != "csv":
        raise ValueError(f"a byte order mark goes with output_format='csv', got {output_format!r}")
    if on_bad_row not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", on_bad_row, list(BAD_ROW_POLICIES)))


@dataclass
class _Work:
    """The parts of a run that are not there yet, and all that makes them."""

    fitted: FittedParts
    source: RowSource
    made: BatchFolder
    how: How
    wording: Callable[[str], str] | None
    progress: Progress | None
    count: int = 0

    def run(self, model: Path, sha256: str, workers: int) -> int:
        """Make them; returns how many parts there are in all."""
        if workers == 1:
            for number, part in self._missing():
                waiting = self.made.waiting_place(number)
                inner = self._within(part)
                facts = answer_part(self.fitted, part.table, waiting, self.how, wording=self.wording, progress=inner)
                self._take(number, part, waiting, facts)
        else:
            self._shared(model, sha256, workers)
        return self.count

    def _missing(self) -> Iterator[tuple[int, TablePart]]:
        """The parts that are not there, with their numbers; those at the beginning that are there are not read."""
        done = self.made.done
        number = first = 0
        while number in done and done[number].first == first:
            first += done[number].taken
            number += 1
        self.count = number
        if first >= self.source.rows:
            return
        for part in self.source.parts(first):
            known = done.get(number)
            if known is None or (known.first, known.taken) != (part.first, len(part.table)):
                yield number, part
            number += 1
            self.count = number

    def _shared(self, model: Path, sha256: str, workers: int) -> None:
        """Let several processes make them; one that fails ends all."""
        missing, turn, stopped = self._missing(), threading.Lock(), threading.Event()
        told: dict[str, None] = {}

        def work(worker: Worker) -> None:
            while not stopped.is_set():
                with turn:
                    following = next(missing, None)
                if following is None:
                    return
                number, part = following
                waiting = self.made.waiting_place(number)
                facts = worker.answer(part.table, waiting, told)
                with turn:
                    self._take(number, part, waiting, facts)

        with ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor(workers))
            stack.callback(stopped.set)
            started, share = [], share_of_bound(workers)
            for _ in range(workers):
                started.append(Worker(model, sha256, self.how, self.wording, share))
                stack.callback(started[-1].stop)
            futures = [threads.submit(work, worker) for worker in started]
            for future in futures:
                future.add_done_callback(lambda done: done.exception() and stopped.set())
            for future in futures:
                future.result()
        for text in told:
            warnings.warn(text, UserWarning, stacklevel=5)

    def _take(self, number: int, part: TablePart, waiting: Path, facts: PartFacts) -> None:
        self.made.take(number, part.first, len(part.table), waiting, facts)
        if self.progress is not None:
            done = sum(one.taken for one in self.made.done.values())
            self.progress(min(done, self.source.rows), self.source.rows, "predicting")

    def _within(self, part: TablePart) -> Progress | None:
        """Progress within a part as progress of the whole."""
        outer, total = self.progress, self.source.rows
        if outer is None:
            return None

        def inner(done: int, steps: int, what: str) -> None:
            outer(part.first + (done if what == "predicting" else 0), total, "predicting")

        return inner


def _warn_of_known(fitted: FittedParts, how: How, made: BatchFolder) -> None:
    """Warn of rows that the model has seen, counted over all parts."""
    known: KnownRows = how.believed.known_rows(fitted)
    for part in made.done.values():
        known.rows += part.facts.rows
        for what, number in part.facts.known.items():
            known.counts[what] = known.counts.get(what, 0) + number
    known.warn()
