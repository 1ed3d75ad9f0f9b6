"""What a number's error is like at each predicted value: quantiles and mean of the residuals of like predictions.

A quantile regression on one feature, the prediction itself, from which conformalised quantile intervals (CQR) start:
they are wide where the model errs much and lean to the side to which it errs.

Reference: Romano, Patterson and Candes 2019 (CQR, which takes any quantile regression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ROWS_A_PIECE = 40
MOST_PIECES = 10


@dataclass(frozen=True)
class ResidualCurves:
    """Rows by which residuals are told.

    Attributes:
        predicted: Their predictions, rising.
        residual: Truth less prediction of each.
    """

    predicted: tuple[float, ...]
    residual: tuple[float, ...]

    @classmethod
    def fit(cls, predicted_N: np.ndarray, truth_N: np.ndarray) -> ResidualCurves:
        """From rows the model has not seen."""
        order = np.argsort(predicted_N, kind="stable")
        return cls(tuple(map(float, predicted_N[order])), tuple(map(float, (truth_N - predicted_N)[order])))

    def interval(self, predicted_N: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high quantile of the truth at these predictions, equal tails, before they are conformalised [N]."""
        tail = (1 - coverage) / 2
        low = self._at(predicted_N, lambda r: float(np.quantile(r, tail)))
        return predicted_N + low, predicted_N + self._at(predicted_N, lambda r: float(np.quantile(r, 1 - tail)))

    def error(self, predicted_N: np.ndarray) -> np.ndarray:
        """Mean absolute residual expected at these predictions [N]."""
        return self._at(predicted_N, lambda r: float(np.abs(r).mean()))

    def _at(self, predicted_N: np.ndarray, measure: Any) -> np.ndarray:
        """A measure of the residuals of each piece, straight lines between the pieces' middles."""
        pieces = int(np.clip(len(self.predicted) // ROWS_A_PIECE, 1, MOST_PIECES))
        places = np.array_split(np.arange(len(self.predicted)), pieces)
        at, residual = np.array(self.predicted), np.array(self.residual)
        return np.interp(predicted_N, [float(at[p].mean()) for p in places], [measure(residual[p]) for p in places])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"predicted": list(self.predicted), "residual": list(self.residual)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ResidualCurves:
        """From plain values."""
        return cls(tuple(map(float, values["predicted"])), tuple(map(float, values["residual"])))
