"""Sides of a comparison in turns, in one process: each round runs every side once, so that a busy moment hits all.

The order turns round from round to round. Beside the seconds of the clock stand those that the processors worked, which
other work on the machine moves less. Ratios are taken round by round; their median and range are told.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Turns:
    """What the rounds took.

    Attributes:
        seconds: Of each side, one number a round.
        cpu: Seconds of processor time of each side, of this process and of those it waited for.
        results: What each side gave back last.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def ratio(self, other: str, own: str) -> dict[str, float]:
        """How many times as long the other side takes: above 1, own is faster."""
        return spread_of(ratios(self.seconds[other], self.seconds[own]))

    def cpu_ratio(self, other: str, own: str) -> dict[str, float]:
        """The same of processor time."""
        return spread_of(ratios(self.cpu[other], self.cpu[own]))


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int, *, warm: bool = True) -> Turns:
    """Run every side once a round.

    Args:
        sides: What to run.
        rounds: How often.
        warm: Run each once before, unmeasured.
    """
    turns = Turns({name: [] for name in sides}, {name: [] for name in sides})
    for number in range(-1 if warm else 0, rounds):
        for name in list(sides) if number % 2 == 0 else list(reversed(sides)):
            began, worked = time.perf_counter(), _worked()
            turns.results[name] = sides[name]()
            took, worked = time.perf_counter() - began, _worked() - worked
            if number >= 0:
                turns.seconds[name].append(took)
                turns.cpu[name].append(worked)
    return turns


def _worked() -> float:
    """Seconds of the processors: finely of this process, in hundredths of those it waited for."""
    return time.process_time() + sum(os.times()[2:4])


def ratios(other: list[float], own: list[float]) -> list[float]:
    """Round by round."""
    return [a / max(b, 1e-9) for a, b in zip(other, own, strict=True)]


def spread_of(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4),
    }  # fmt: skip
