"""A clock for nested work: each second belongs to the innermost phase that is running."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass
class Spent:
    """What a phase took.

    Attributes:
        seconds: On the thread that is profiled, without the phases inside it.
        in_threads: On other threads, which run beside it.
        calls: How often it began.
        amount: How much was done, in the unit of the phase.
        flops: Floating point operations of the calls in which they were counted.
        counted: How many these are.
        counted_seconds: What these took, which counting makes longer.
    """

    seconds: float = 0.0
    in_threads: float = 0.0
    calls: int = 0
    amount: float = 0.0
    flops: float = 0.0
    counted: int = 0
    counted_seconds: float = 0.0

    @property
    def all_flops(self) -> float:
        """Floating point operations of all calls, those that were not counted taken for as many as the others."""
        return self.flops * self.calls / self.counted if self.counted else 0.0

    @property
    def uncounted_seconds(self) -> float:
        """Seconds of all calls, those that were counted taken for as long as the others, where there are others."""
        took, others = self.seconds + self.in_threads, self.calls - self.counted
        return (took - self.counted_seconds) * self.calls / others if self.counted and others else took


class Clock:
    """Seconds by phase; the thread that makes it is the one that is profiled."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now, self.spent = now, dict[str, Spent]()
        self.precision: dict[str, str] = {}  # in which a phase multiplies, where its operations are counted
        self.is_running = True  # what was timed and is still held elsewhere no longer is
        self._own, self._lock, self._local = threading.get_ident(), threading.Lock(), threading.local()

    @contextlib.contextmanager
    def span(self, phase: str) -> Iterator[None]:
        """The time inside belongs to a phase, but for the spans inside it."""
        if not hasattr(self._local, "open"):
            self._local.open = []
        stack: list[list[float]] = self._local.open
        began = self.now()
        stack.append([0.0])
        try:
            yield
        finally:
            took = self.now() - began
            inside = stack.pop()[0]
            if stack:
                stack[-1][0] += took
            self._add(phase, took - inside)

    def count(self, phase: str, amount: float) -> None:
        """More was done in a phase."""
        with self._lock:
            self.spent.setdefault(phase, Spent()).amount += amount

    def count_flops(self, phase: str, flops: float, seconds: float, precision: str) -> None:
        """One call of a phase was of so many operations.

        Args:
            phase: The phase.
            flops: Floating point operations.
            seconds: What it took, counting included.
            precision: "float32" or "bfloat16", in which it multiplied.
        """
        with self._lock:
            spent = self.spent.setdefault(phase, Spent())
            spent.flops += flops
            spent.counted += 1
            spent.counted_seconds += seconds
            self.precision[phase] = precision

    def calls(self, phase: str) -> int:
        """How often a phase has ended."""
        with self._lock:
            return self.spent[phase].calls if phase in self.spent else 0

    def _add(self, phase: str, seconds: float) -> None:
        with self._lock:
            spent = self.spent.setdefault(phase, Spent())
            spent.calls += 1
            if threading.get_ident() == self._own:
                spent.seconds += seconds
            else:
                spent.in_threads += seconds
