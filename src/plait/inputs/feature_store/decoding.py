"""Items decoded in threads before they are encoded: ahead of the encoder, or in turns with it.

Beside an accelerator, decoding runs ahead. On a CPU it would take the cores from a forward that waits for its slowest
thread between operations, so that both are slower than one after the other: there a window is decoded by all threads,
then encoded. Either way results come in order, and no more are kept than a window of bytes holds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

Decode = Callable[[int], dict[str, Tensor]]
THREADS = "plait-decode"
BESIDE_ACCELERATOR = 2


def num_decoders(device: torch.device) -> int:
    """Threads that decode: on a CPU all of PyTorch's, which then wait; beside an accelerator two."""
    return torch.get_num_threads() if device.type == "cpu" else BESIDE_ACCELERATOR


def num_bytes(inputs: dict[str, Tensor]) -> int:
    """What decoded inputs take."""
    return sum(tensor.nbytes for tensor in inputs.values())


def decoded_in_turns(
    walk: Iterator[int], decode: Decode, workers: int, window: int, most: int
) -> Generator[tuple[int, Any]]:
    """Items, each with its inputs or the exception in their place, a window at a time.

    Nothing is decoded while whoever asks works on what it got.

    Args:
        walk: Numbers of the items; asked in the thread of the caller.
        decode: Gives the inputs of one, in a thread.
        workers: Threads.
        window: Bytes after which no more is begun.
        most: Items of a window.
    """
    executor = ThreadPoolExecutor(workers, thread_name_prefix=THREADS)
    running: deque[tuple[int, Future[dict[str, Tensor]]]] = deque()
    done: deque[tuple[int, Any]] = deque()
    held = 0

    def take_first() -> None:
        nonlocal held
        index, future = running.popleft()
        result = _result(future)
        held += 0 if isinstance(result, Exception) else num_bytes(result)
        done.append((index, result))

    try:
        is_open = True
        while is_open:
            while is_open and held < window and len(done) + len(running) < most:
                if len(running) == 2 * workers:  # as many wait as are decoded: no thread waits for the first of them
                    take_first()
                index = next(walk, None)
                is_open = index is not None
                if index is not None:
                    running.append((index, executor.submit(decode, index)))
            while running:
                take_first()
            while done:
                yield done.popleft()
            held = 0
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class ByteWindow:
    """Lets threads decode while what is decoded and waits stays under a size; the item that is next always may."""

    def __init__(self, most: int) -> None:
        self.most, self._held, self._next, self._is_closed = most, 0, 0, False
        self._changed = threading.Condition()

    def enter(self, place: int) -> None:
        """Wait until there is room, or the item at this place is next."""
        with self._changed:
            self._changed.wait_for(lambda: self._held < self.most or place <= self._next or self._is_closed)

    def hold(self, size: int) -> None:
        """So many bytes more wait."""
        with self._changed:
            self._held += size

    def free(self, size: int) -> None:
        """So many bytes were taken."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def want(self, place: int) -> None:
        """The item at this place is next."""
        with self._changed:
            self._next = place
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def decoded_ahead(
    walk: Iterator[int], decode: Decode, workers: int, gate: ByteWindow, ahead: int
) -> Generator[tuple[int, Any]]:
    """The same, begun while whoever asks works on what it got.

    Args:
        walk: Numbers of the items; asked in the thread of the caller.
        decode: Gives the inputs of one, in a thread.
        workers: Threads.
        gate: Told what is decoded; whoever takes it must say so.
        ahead: So many items are begun before they are asked for, or half as many more.
    """

    def enter_and_decode(place: int, index: int) -> dict[str, Tensor]:
        gate.enter(place)
        made = decode(index)
        gate.hold(num_bytes(made))
        return made

    executor = ThreadPoolExecutor(workers, thread_name_prefix=THREADS)
    waiting: deque[tuple[int, int, Future[dict[str, Tensor]]]] = deque()
    num_begun, is_open = 0, True
    try:
        while True:
            if len(waiting) <= ahead:
                while is_open and len(waiting) < ahead + ahead // 2:
                    index = next(walk, None)
                    if index is None:
                        is_open = False
                        break
                    waiting.append((num_begun, index, executor.submit(enter_and_decode, num_begun, index)))
                    num_begun += 1
            if not waiting:
                return
            place, index, future = waiting.popleft()
            gate.want(place)
            yield index, _result(future)
    finally:
        gate.close()
        executor.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[dict[str, Tensor]]) -> dict[str, Tensor] | Exception:
    try:
        return future.result()
    except Exception as error:  # a decoder may raise anything; the reason is handed on
        return error
