"""What a part of the benchmark is asked, and what it measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turns import Turns


@dataclass(frozen=True)
class Asked:
    """What every part is given.

    Attributes:
        repeats: Measured rounds.
        quick: Sizes that only show that it runs.
        seed: Of drawn data, weights and training.
        threads: PyTorch's threads.
        folder: Room of its own, empty.
        data: The folder of real data sets ($PLAIT_TEST_DATA), or None.
    """

    repeats: int
    quick: bool
    seed: int
    threads: int
    folder: Path
    data: Path | None

    @property
    def posts(self) -> Path | None:
        """The table of posts, where it is there."""
        path = None if self.data is None else self.data / "posts-sentiment" / "posts.csv"
        return path if path is not None and path.exists() else None


@dataclass(frozen=True)
class Goal:
    """What is to be reached by the median.

    Attributes:
        of: "ratio" or "seconds" (Plait's).
        at_least: For a ratio.
        at_most: For seconds.
        words: The goal as it was set.
    """

    of: str
    words: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether a median reaches it."""
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)


@dataclass
class Measured:
    """One line of the table.

    Attributes:
        name: "encode-text".
        own: The side that is Plait's, a key of the turns.
        peer: The other side, a key of the turns.
        data: What was worked on, and where it came from.
        setting: Sizes; lines of two runs are compared only where data and setting are the same.
        turns: The rounds.
        same: How equal the outputs are: names of measures to numbers.
        goal: What is to be reached, if anything.
        notes: What a reader must know.
    """

    name: str
    own: str
    peer: str
    data: str
    setting: str
    turns: Turns
    same: dict[str, float]
    goal: Goal | None = None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the history; see ``history.py``."""
        from statistics import median

        ratio = self.turns.ratio(self.peer, self.own)
        own_s = median(self.turns.seconds[self.own])
        made: dict[str, Any] = {
            "own": self.own, "peer": self.peer, "data": self.data, "setting": self.setting,
            "seconds": {side: [round(s, 4) for s in self.turns.seconds[side]] for side in (self.own, self.peer)},
            "ratio": ratio,
            "same": {name: float(f"{value:.9g}") for name, value in self.same.items()}, "notes": self.notes,
        }  # fmt: skip
        if self.turns.cpu:  # not where another process worked
            made["cpu_seconds"] = {s: [round(v, 4) for v in self.turns.cpu[s]] for s in (self.own, self.peer)}
            made["cpu_ratio"] = self.turns.cpu_ratio(self.peer, self.own)
        if self.goal is not None:
            value = ratio["median"] if self.goal.of == "ratio" else own_s
            made["goal"] = {"words": self.goal.words, "met": self.goal.is_met(value)}
        return made
