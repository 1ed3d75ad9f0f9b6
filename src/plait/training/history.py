"""What happened in training, epoch by epoch: kept, and written as CSV."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Pretraining:
    """How pretraining went.

    Attributes:
        objective: align, comm or masked.
        rows: Rows that it saw.
        unlabelled: How many of them have no target.
        epochs: Passes over them that were made.
        first: Mean loss of the first pass.
        last: Mean loss of the last pass.
    """

    objective: str
    rows: int
    unlabelled: int
    epochs: int
    first: float
    last: float

    def to_json(self) -> dict[str, Any]:
        """As plain values for a report."""
        return asdict(self)


@dataclass
class History:
    """The epochs of a run, and which one was best on validation.

    Attributes:
        epochs: A record of named numbers per epoch.
        best_epoch: Number of the best one, from 1; 0 before there is any.
        best_score: Its selecting validation score, or None.
        resumed_from: How many epochs were taken over from a run that was stopped.
        seconds: How long training took.
        pretraining: How pretraining went before it; None: there was none.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float | None = None
    resumed_from: int = 0
    seconds: float = 0.0
    pretraining: Pretraining | None = None

    def write(self, path: Path) -> None:
        """Write the epochs as CSV."""
        names = list(dict.fromkeys(name for epoch in self.epochs for name in epoch))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.epochs)
