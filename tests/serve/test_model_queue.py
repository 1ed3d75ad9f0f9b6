"""The thread that owns the model: batches, kinds, deadlines, clients that went, poison, an orderly end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from plait.serve.metrics import Metrics
from plait.serve.queue import ModelThread
from plait.serve.refusal import Refusal

FOR_EVER = float("inf")


class Worker:
    """Doubles numbers; can be held, and remembers every batch that it was given."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, Any, list[Any]]] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.faults: list[str] = []

    def work(self, kind: str) -> Any:
        def run(options: Any, rows: list[Any]) -> list[Any]:
            self.batches.append((kind, options, list(rows)))
            self.entered.set()
            assert self.free.wait(20)
            if "poison" in rows:
                raise ValueError("a row that cannot be read")
            if "fault" in rows:
                raise KeyError("secret")
            if "few" in rows:
                return []
            return [row * 2 for row in rows]

        return run


@pytest.fixture
def worker() -> Worker:
    return Worker()


def started(worker: Worker, **options: Any) -> ModelThread:
    values = {"batch_size": 4, "batch_wait": 0.0, "max_queue": 16, "alone": ("explain",)} | options
    thread = ModelThread(
        {kind: worker.work(kind) for kind in ("predict", "explain")}, Metrics(),
        on_fault=lambda kind, error: worker.faults.append(type(error).__name__), **values,
    )  # fmt: skip
    thread.start()
    return thread


@pytest.fixture
def held(worker: Worker) -> Iterator[ModelThread]:
    """A thread that works on one row until it is freed, so that what follows waits."""
    thread = started(worker)
    worker.free.clear()
    thread.submit("predict", None, [1], FOR_EVER)
    assert worker.entered.wait(10)
    yield thread
    worker.free.set()
    assert thread.close(10)


def test_rows_of_a_kind_share_batches_up_to_the_largest(held: ModelThread, worker: Worker) -> None:
    jobs = [held.submit("predict", None, [i, i + 10], FOR_EVER) for i in range(3)]
    other = held.submit("predict", 0.9, [7], FOR_EVER)
    single = held.submit("explain", None, [5, 6], FOR_EVER)
    worker.free.set()
    assert [job.done.result(10) for job in jobs] == [[0, 20], [2, 22], [4, 24]]
    assert other.done.result(10) == [14] and single.done.result(10) == [10, 12]
    assert worker.batches[1:] == [
        ("predict", None, [0, 10, 1, 11]), ("predict", None, [2, 12]), ("predict", 0.9, [7]), ("explain", None, [5]),
        ("explain", None, [6]),
    ]  # fmt: skip


def test_a_batch_waits_for_more_and_no_longer(worker: Worker) -> None:
    thread = started(worker, batch_wait=0.3)
    first = thread.submit("predict", None, [1], FOR_EVER)
    time.sleep(0.05)
    second = thread.submit("predict", None, [2], FOR_EVER)
    assert (first.done.result(10), second.done.result(10)) == ([2], [4])
    assert worker.batches == [("predict", None, [1, 2])]
    began = time.monotonic()
    full = [thread.submit("predict", None, [i], FOR_EVER) for i in range(4)]  # the largest size: no wait
    assert [job.done.result(10) for job in full] == [[0], [2], [4], [6]] and time.monotonic() - began < 0.25
    assert thread.close(10)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(held: ModelThread) -> None:
    for i in range(4):
        held.submit("predict", None, [i] * 4, FOR_EVER)
    began = time.monotonic()
    with pytest.raises(Refusal) as refused:
        held.submit("predict", None, [1], FOR_EVER)
    assert time.monotonic() - began < 1
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


def test_a_request_past_its_deadline_costs_no_work(held: ModelThread, worker: Worker) -> None:
    late = held.submit("predict", None, ["late"], time.monotonic() + 0.05)
    gone = held.submit("predict", None, ["gone"], FOR_EVER)
    kept = held.submit("predict", None, [3], FOR_EVER)
    held.cancel(gone)
    time.sleep(0.1)
    worker.free.set()
    assert kept.done.result(10) == [6]
    for job, code in ((late, "deadline"), (gone, "cancelled")):
        with pytest.raises(Refusal) as refused:
            job.done.result(10)
        assert (refused.value.status, refused.value.code) == (504, code)
    assert all("late" not in rows and "gone" not in rows for _, _, rows in worker.batches)


def test_places_of_those_that_went_are_free_again(held: ModelThread) -> None:
    jobs = [held.submit("predict", None, [i] * 4, FOR_EVER) for i in range(4)]
    for job in jobs:
        held.cancel(job)
    held.submit("predict", None, [1], FOR_EVER)
    assert held.waiting == 1


@pytest.mark.parametrize(
    ("bad", "status", "faults"), [("poison", 422, []), ("fault", 500, ["KeyError"]), ("few", 500, ["RuntimeError"])]
)
def test_a_bad_row_fails_alone(held: ModelThread, worker: Worker, bad: str, status: int, faults: list[str]) -> None:
    jobs = [held.submit("predict", None, [row], FOR_EVER) for row in (1, bad, 3)]
    worker.free.set()
    assert jobs[0].done.result(10) == [2] and jobs[2].done.result(10) == [6]
    (outcome,) = jobs[1].done.result(10)
    assert isinstance(outcome, Refusal) and outcome.status == status and "secret" not in outcome.message
    assert worker.faults == faults


def test_what_was_taken_is_finished_and_nothing_more_is_taken(worker: Worker) -> None:
    thread = started(worker)
    worker.free.clear()
    jobs = [thread.submit("predict", None, [i], FOR_EVER) for i in range(10)]
    closer = threading.Thread(target=thread.close, args=(10,))
    closer.start()
    time.sleep(0.05)
    with pytest.raises(Refusal) as refused:
        thread.submit("predict", None, [1], FOR_EVER)
    assert refused.value.status == 503
    worker.free.set()
    assert [job.done.result(10) for job in jobs] == [[2 * i] for i in range(10)]
    closer.join(10)
    assert not closer.is_alive()


def test_many_threads_get_their_own_outcomes(worker: Worker) -> None:
    thread = started(worker, batch_size=8, batch_wait=0.001, max_queue=1000)
    wrong = []

    def ask(start: int) -> None:
        for i in range(start, start + 50):
            if thread.submit("predict", None, [i, -i], FOR_EVER).done.result(10) != [2 * i, -2 * i]:
                wrong.append(i)

    askers = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(16)]
    for one in askers:
        one.start()
    for one in askers:
        one.join(30)
    assert thread.close(10) and not wrong
    assert max(len(rows) for _, _, rows in worker.batches) == 8
