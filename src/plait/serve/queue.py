"""A thread that owns a model, and the bounded queue before it.

Work comes as jobs of some rows each. Rows of jobs of one kind are joined up to a largest batch, waiting a few
milliseconds for more; kinds are never mixed. Before a batch runs, jobs whose deadline has passed or whose client has
gone are dropped: they cost no work. Where a batch fails as a whole it is run again in halves, so that a row which
cannot be answered fails alone. A full queue refuses at once and says when to come again.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from plait.serve.metrics import Metrics
from plait.serve.refusal import Refusal

Run = Callable[[Any, list[Any]], list[Any]]  # options and rows to one outcome a row: a value, or a Refusal
MOST_RETRY = 60


@dataclass(eq=False)
class Job:
    """Some rows of one request.

    Attributes:
        kind: What is asked of the model.
        options: How; jobs share a batch only where these are equal.
        rows: The rows.
        deadline: When the answer is no longer wanted, on the clock of ``time.monotonic``.
        done: Its outcomes, one a row.
        arrived: When it was taken.
        cancelled: Whether nobody waits for it any more.
    """

    kind: str
    options: Hashable
    rows: list[Any]
    deadline: float
    done: Future[list[Any]] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    def why_dropped(self) -> str | None:
        """Why it need not be worked on: "deadline" or "cancelled"; None: it must."""
        if self.cancelled:
            return "cancelled"
        return "deadline" if time.monotonic() >= self.deadline else None


class ModelThread:
    """Runs jobs, one batch at a time.

    Args:
        run: Kind of work to what does it. Each gets the options and the rows and gives one outcome a row.
        metrics: What is counted.
        batch_size: Most rows at once; a job of more rows is given in pieces.
        batch_wait: Longest wait for more rows, in seconds.
        max_queue: Most rows that wait.
        alone: Kinds of which only one row is run at a time.
        on_fault: Told of an error that is no ``ValueError``: a fault of Plait, not of a row.
        begin: Called once, on this thread, before the first batch.
        after_batch: Called when a batch is done, on this thread.
    """

    def __init__(
        self, run: dict[str, Run], metrics: Metrics, *, batch_size: int, batch_wait: float, max_queue: int,
        alone: Sequence[str] = (), on_fault: Callable[[str, BaseException], None] = lambda *_: None,
        begin: Callable[[], None] = lambda: None, after_batch: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._run, self._metrics, self._on_fault = run, metrics, on_fault
        self._begin, self._after_batch = begin, after_batch
        self._batch_size, self._batch_wait, self._max_queue = batch_size, batch_wait, max_queue
        self._alone = frozenset(alone)
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._seconds_a_row = 0.05  # of recent batches
        self._waiting = self._working = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="plait-model", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return self._waiting

    @property
    def is_busy(self) -> bool:
        """Whether there is work that is not finished."""
        return self._waiting + self._working > 0

    def submit(self, kind: str, options: Hashable, rows: list[Any], deadline: float) -> Job:
        """Take a job, or refuse it at once.

        Raises:
            Refusal: 429, the queue is full; 503, the server stops.
        """
        job = Job(kind, options, rows, deadline)
        with self._changed:
            if self._closed:
                raise Refusal(503, "stopping", "the server is stopping; try again", retry_after=1)
            if self._waiting + len(rows) > self._max_queue:
                self._drop_unwanted()
            if self._waiting + len(rows) > self._max_queue and self._jobs:
                raise Refusal(
                    429, "queue_full", f"{self._waiting} rows wait for the model already; try again",
                    retry_after=self.retry_after(),
                )  # fmt: skip
            self._jobs.append(job)
            self._waiting += len(rows)
            self._changed.notify_all()
        return job

    def retry_after(self) -> int:
        """Whole seconds after which the rows that wait now are done, about."""
        return max(1, min(MOST_RETRY, math.ceil((self._waiting + self._working) * self._seconds_a_row)))

    def cancel(self, job: Job) -> None:
        """Say that nobody waits for a job any more; what has not begun costs no work."""
        with self._changed:
            job.cancelled = True
            self._changed.notify_all()

    def close(self, timeout: float) -> bool:
        """Take nothing more, finish what was taken, and end the thread; whether all was finished in time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._begin()
        except Exception as error:  # nobody may wait for ever for a thread that never began
            self._on_fault("begin", error)
        while (batch := self._next_batch()) is not None:
            if batch:
                self._run_batch(batch)
            with self._changed:
                self._working = 0

    def _next_batch(self) -> list[Job] | None:
        """Jobs of one kind that are still wanted, the oldest first; None: there will be no more."""
        with self._changed:
            self._drop_unwanted()
            while not self._jobs:
                if self._closed:
                    return None
                self._changed.wait()
                self._drop_unwanted()
            first = self._jobs[0]
            ready_at = first.arrived + self._batch_wait
            while self._rows_like(first) < self._batch_size and not self._closed and first.kind not in self._alone:
                left = ready_at - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
                self._drop_unwanted()
                if not self._jobs or self._jobs[0] is not first:
                    return []
            return self._take_like(first)

    def _rows_like(self, first: Job) -> int:
        return sum(len(job.rows) for job in self._jobs if (job.kind, job.options) == (first.kind, first.options))

    def _take_like(self, first: Job) -> list[Job]:
        taken, rows = [], 0
        for job in list(self._jobs):
            if (job.kind, job.options) != (first.kind, first.options):
                continue
            if taken and (rows + len(job.rows) > self._batch_size or first.kind in self._alone):
                continue
            taken.append(job)
            rows += len(job.rows)
            self._jobs.remove(job)
        self._waiting -= rows
        self._working = rows
        return taken

    def _drop_unwanted(self) -> None:
        for job in list(self._jobs):
            reason = job.why_dropped()
            if reason is not None:
                self._jobs.remove(job)
                self._waiting -= len(job.rows)
                self._drop(job, reason)

    def _drop(self, job: Job, reason: str) -> None:
        self._metrics.count("dropped_total", len(job.rows), reason=reason)
        with contextlib.suppress(InvalidStateError):  # its client went away this moment
            job.done.set_exception(Refusal(504, reason, "the deadline passed before the model was free", retry_after=1))

    def _run_batch(self, batch: list[Job]) -> None:
        kind, started = batch[0].kind, time.monotonic()
        for job in batch:
            self._metrics.observe("queue_seconds", started - job.arrived)
        rows = [row for job in batch for row in job.rows]
        try:
            outcomes = self._outcomes(kind, batch[0].options, rows)
        except BaseException as error:  # the thread must outlive whatever happens; nobody may wait for ever
            self._on_fault(kind, error)
            outcomes = [_fault() for _ in rows]
        seconds = time.monotonic() - started
        self._seconds_a_row += 0.2 * (seconds / len(rows) - self._seconds_a_row)
        self._metrics.observe("work_seconds", seconds, kind=kind)
        self._metrics.observe("batch_rows", len(rows))
        self._metrics.count("batches_total", kind=kind)
        self._metrics.count("rows_total", len(rows), kind=kind)
        place = 0
        for job in batch:
            with contextlib.suppress(InvalidStateError):
                job.done.set_result(outcomes[place : place + len(job.rows)])
            place += len(job.rows)
        try:
            self._after_batch()
        except Exception as error:
            self._on_fault(kind, error)

    def _outcomes(self, kind: str, options: Any, rows: list[Any]) -> list[Any]:
        """One outcome a row; rows that fail together are run again in halves until each fails alone."""
        step = 1 if kind in self._alone else self._batch_size
        if len(rows) > step:
            pieces = [rows[i : i + step] for i in range(0, len(rows), step)]
            return [outcome for piece in pieces for outcome in self._outcomes(kind, options, piece)]
        try:
            made = self._run[kind](options, rows)
            if len(made) != len(rows):
                raise RuntimeError(f"{kind} gave {len(made)} outcomes for {len(rows)} rows")
            return made
        except Refusal as refused:
            if len(rows) == 1:
                return [refused]
        except ValueError as error:
            if len(rows) == 1:
                return [Refusal(422, "not_answered", str(error))]
        except MemoryError:
            if len(rows) == 1:
                return [Refusal(503, "out_of_memory", "the model ran out of memory for this row", retry_after=5)]
        except Exception as error:
            if len(rows) == 1:
                self._on_fault(kind, error)
                return [_fault()]
        half = len(rows) // 2
        return [*self._outcomes(kind, options, rows[:half]), *self._outcomes(kind, options, rows[half:])]


def _fault() -> Refusal:
    return Refusal(500, "fault", "a fault of the server; its log names this request")
