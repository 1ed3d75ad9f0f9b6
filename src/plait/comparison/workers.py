"""Several processes for one comparison: methods are dealt to workers, finished runs meet in the archive.

Small networks keep one CPU core busy and no more, so a second process doubles the pace where a second thread gives
little. Workers are forked after encoding, so they share its memory; each works on one thread. What a worker has
finished lies in the archive, from where the parent reads it as it reads the runs of a comparison that was stopped.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
from collections.abc import Iterator
from typing import Any

import torch

from plait.comparison.plan import Method
from plait.comparison.runner import Runner

SECONDS_BETWEEN_LOOKS = 0.5


def choose_workers(asked: int | None, num_methods: int) -> int:
    """How many processes to use; None: one a CPU core that this process may use, one where forking is not safe.

    Raises:
        ValueError: Less than one.
    """
    if asked is not None and asked < 1:
        raise ValueError(f"workers is {asked}; expected 1 (no further processes) or more")
    if sys.platform != "linux" or torch.cuda.is_available():
        return 1
    return min(len(os.sched_getaffinity(0)) if asked is None else asked, num_methods)


def run_ahead(runner: Runner, methods: list[Method], workers: int) -> None:
    """Run the methods in several processes; afterwards ``runner.run(methods)`` finds every run in the archive.

    A worker that dies leaves its methods to the others, and at the end to the parent: nothing is lost or doubled.
    """
    runner.count_missing(methods)
    if workers < 2 or runner.counter.in_all == 0:
        return
    counter = runner.counter
    context = multiprocessing.get_context("fork")
    tasks, results = context.Queue(), context.Queue()
    for number in range(len(methods)):
        tasks.put(number)
    forked = [
        context.Process(target=_work, args=(runner, methods, tasks, results), daemon=True) for _ in range(workers)
    ]
    with _stopped_at_the_end(forked):
        for process in forked:
            process.start()
        steps: dict[tuple[int, str], int] = {}
        while True:
            is_over = not any(p.is_alive() for p in forked)  # asked first: what they sent before must still be read
            try:
                worker, what, step, runs = results.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                if is_over:
                    return
                continue
            counter.done += runs
            steps[worker, what] = step
            if counter.progress is not None:
                total = counter.in_all * counter.steps_a_run
                counter.progress(min(sum(steps.values()), total), total, f"comparing on {workers} processes: {what}")


def _work(runner: Runner, methods: list[Method], tasks: Any, results: Any) -> None:
    """One worker: methods one after the other until none is left."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all; the parent alone explains how to go on
    torch.set_num_threads(1)
    own, counter = os.getpid(), runner.counter
    while True:
        try:
            number = tasks.get(timeout=SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            return
        method = methods[number]

        def tell(done: int, total: int, what: str, name: str = method.name) -> None:
            results.put((own, name, done, 0))

        counter.progress, counter.done = tell, 0
        runner.run([method])
        results.put((own, method.name, counter.done * counter.steps_a_run, counter.done))


@contextlib.contextmanager
def _stopped_at_the_end(processes: list[Any]) -> Iterator[None]:
    """End the workers with the block, however it ends."""
    try:
        yield
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join()
