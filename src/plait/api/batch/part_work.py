"""The parts of a table that are not there yet, made by this process, by several or by workers of Ray."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from plait.api.batch.folder import BatchFolder, WrittenPart
from plait.api.batch.on_ray import answered_parts
from plait.api.batch.source import RowSource, TablePart, missing_parts, whole_until
from plait.api.batch.work import How, PartFacts, answer_part
from plait.api.batch.worker import Worker, facts_of
from plait.data.memory import share_of_bound
from plait.data.progress import Progress
from plait.training.fitted import FittedParts


@dataclass
class Counted:
    """Takes parts that leave no file, as encoded ones, in the place of a folder.

    Attributes:
        done: The parts, by their numbers.
    """

    done: dict[int, WrittenPart] = field(default_factory=dict)

    def waiting_place(self, number: int) -> Path:
        """A name that nobody writes to."""
        return Path(f"part-{number:05d}")

    def take(self, number: int, first: int, taken: int, waiting: Path, facts: PartFacts) -> None:
        """Count a part."""
        self.done[number] = WrittenPart(waiting.name, first, taken, 0, "", facts)


@dataclass
class PartWork:
    """The parts of a run that are not there yet, and all that makes them."""

    fitted: FittedParts
    source: RowSource
    made: BatchFolder | Counted
    how: How
    wording: Callable[[str], str] | None
    progress: Progress | None
    what: str = "predicting"

    def run(self, model: Path, sha256: str, workers: int | None, ray: str | None) -> int:
        """Make them; returns how many parts there are in all."""
        if ray is not None:
            self._on_ray(ray, model, sha256, workers)
        elif workers in (None, 1):
            for number, part in self._missing():
                waiting = self.made.waiting_place(number)
                inner = self._within(part)
                facts = answer_part(self.fitted, part.table, waiting, self.how, wording=self.wording, progress=inner)
                self._take(number, part.first, len(part.table), waiting, facts)
        else:
            self._shared(model, sha256, workers)
        count, rows = whole_until(self._there())
        if rows != self.source.rows:
            raise RuntimeError(f"the parts have {rows} of {self.source.rows} rows; type the same again")
        return count

    def _there(self) -> dict[int, tuple[int, int]]:
        return {number: (part.first, part.taken) for number, part in self.made.done.items()}

    def _missing(self) -> Iterator[tuple[int, TablePart]]:
        return missing_parts(self.source, self._there())

    def _on_ray(self, address: str, model: Path, sha256: str, workers: int | None) -> None:
        """Let workers of Ray make them; a part that comes a second time is left where it is."""
        told: dict[str, None] = {}
        there = self._there()
        parts = answered_parts(
            address, workers, model, sha256, self.how, self.wording, self.source, there
        )  # fmt: skip
        with contextlib.closing(parts):
            for part in parts:
                facts = facts_of(part.answer, told)
                place = (part.first, part.taken)
                if there.get(part.number) == place:
                    continue
                waiting = self.made.waiting_place(part.number)
                if not self.how.encodes:
                    waiting.write_bytes(part.data)
                self._take(part.number, *place, waiting, facts)
                there[part.number] = place
        for text in told:
            warnings.warn(text, UserWarning, stacklevel=5)

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
                    self._take(number, part.first, len(part.table), waiting, facts)

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

    def _take(self, number: int, first: int, taken: int, waiting: Path, facts: PartFacts) -> None:
        self.made.take(number, first, taken, waiting, facts)
        if self.progress is not None:
            done = sum(one.taken for one in self.made.done.values())
            self.progress(min(done, self.source.rows), self.source.rows, self.what)

    def _within(self, part: TablePart) -> Progress | None:
        """Progress within a part as progress of the whole."""
        outer, total = self.progress, self.source.rows
        if outer is None:
            return None

        def inner(done: int, steps: int, what: str) -> None:
            outer(part.first + (done if what == self.what else 0), total, self.what)

        return inner
