"""Several forwards at once on a CPU, each with its share of the threads.

A forward of a few items keeps many threads waiting for each other between its operations, and one of them waits longest
where a decoder has taken its core. Two forwards side by side, each on one thread, wait for nobody. Results come in the
order of the batches.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from plait.data.memory import most_forward_bytes
from plait.encoders.engine import is_proven

MOST_LANES = 4  # each holds the activations of a batch

Given = TypeVar("Given")
Made = TypeVar("Made")


def num_lanes(encoder: torch.nn.Module, device: torch.device, budget: int) -> int:
    """How many forwards of an encoder may run side by side.

    The most, up to four, that leave no more than one thread without work. One on an accelerator, where the bound of
    memory has no room for several, and for an encoder that is not of a family that is tested: its forward may keep
    something in the module.

    Args:
        encoder: The encoder.
        device: Where it works.
        budget: Bytes of the padded inputs of one batch.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2 or not is_proven(encoder):
        return 1
    most = next(count for count in range(min(MOST_LANES, threads), 1, -1) if threads % count <= 1)
    return most if most_forward_bytes(most * budget) == most * budget else 1


def in_lanes(work: Callable[[Given], Made], given: Iterator[Given], count: int) -> Generator[tuple[Given, Made]]:
    """What is given and what became of it, in order; one more is taken than there are lanes, so that none is idle.

    Args:
        work: Called in a thread of its own, whose operations use a share of PyTorch's threads.
        given: Asked for the next in the thread of the caller.
        count: Lanes; with one the caller's own thread does the work.
    """
    if count == 1:
        for one in given:
            yield one, work(one)
        return
    all_threads = torch.get_num_threads()
    began = threading.Barrier(count + 1)

    def take_share() -> None:
        torch.set_num_threads(all_threads // count)  # of this thread, and of those that begin before it is put back
        torch.get_num_threads()  # PyTorch settles a thread's number when it is first asked for
        began.wait()

    waiting: deque[tuple[Given, Future[Made]]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="plait-encode", initializer=take_share)
    try:
        for _ in range(count):
            pool.submit(torch.get_num_threads)  # a thread is made for each, since none is done before all are there
        began.wait()
        torch.set_num_threads(all_threads)
        for one in given:
            waiting.append((one, pool.submit(work, one)))
            if len(waiting) > count:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        began.abort()
        torch.set_num_threads(all_threads)
        pool.shutdown(wait=True, cancel_futures=True)


def _first(waiting: deque[tuple[Given, Future[Made]]]) -> tuple[Given, Made]:
    one, made = waiting.popleft()
    return one, made.result()
