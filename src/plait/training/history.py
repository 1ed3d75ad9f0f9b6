"""What happened in training, epoch by epoch: kept, and written as CSV."""

from __future__ import annotations

import csv
import math
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

    @property
    def best_loss(self) -> float | None:
        """The mean loss of validation rows at the best epoch, or None where it was not measured."""
        return self.epochs[self.best_epoch - 1].get("val_loss") if 0 < self.best_epoch <= len(self.epochs) else None

    def is_passed_by(self, score: float | None, loss: float | None) -> bool:
        """Whether these numbers of validation rows are better; of equal scores the smaller loss is.

        Until there is a score whatever comes without one is better, and what has none never replaces what has one. Few
        rows often score alike under a metric that counts answers, while a loss still tells how sure they are.

        Args:
            score: The selecting score, the larger the better; None: it could not be measured.
            loss: Mean loss of the rows; None or not a number: not measured.
        """
        best, best_loss = _number(self.best_score), _number(self.best_loss)
        score, loss = _number(score), _number(loss)
        if best is None or score is None:
            return best is None
        if score != best:
            return score > best
        return loss is not None and self.best_loss is not None and (best_loss is None or loss < best_loss)

    def write(self, path: Path) -> None:
        """Write the epochs as CSV."""
        names = list(dict.fromkeys(name for epoch in self.epochs for name in epoch))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.epochs)


def _number(value: float | None) -> float | None:
    """The value, or None where it is not a number."""
    return None if value is None or math.isnan(value) else value
