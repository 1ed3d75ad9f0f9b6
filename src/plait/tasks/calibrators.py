"""Calibrators: what makes the probabilities of a trained model true, learned on rows that it has not seen.

Logits [N, C] come in and calibrated logits go out, from which the task's ``activate`` makes probabilities; a calibrator
is a few numbers, saved as JSON. Which of them serves is decided by the proper loss on rows that did not fit it.

Reference: Guo et al. 2017 (temperature and vector scaling); Zadrozny and Elkan 2002 (isotonic regression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plait.registry import Registry

LOG_RANGE = (-5.0, 5.0)  # of log T: temperatures from .007 to 148
VECTOR_PENALTY = 1.0  # of the squared distance from plain temperature, in rows


class Calibrator(Protocol):
    """Logits in, calibrated logits out."""

    def logits(self, logits_NC: np.ndarray) -> np.ndarray:
        """Calibrated logits [N, C] float64."""

    def to_json(self) -> dict[str, Any]:
        """As plain values, under "name" the name it is registered under."""


CALIBRATORS: Registry[Any] = Registry("calibrator")


@dataclass(frozen=True)
class Temperature:
    """Logits over one number: the order of the answers stays as it is.

    Attributes:
        temperature: Above 1 for a model that is too sure.
    """

    temperature: float

    def logits(self, logits_NC: np.ndarray) -> np.ndarray:
        """Calibrated logits [N, C] float64."""
        return np.asarray(logits_NC, dtype=np.float64) / self.temperature

    @property
    def is_at_bound(self) -> bool:
        """Whether the search ended at an end of its range, where the loss would fall further."""
        return min(abs(np.log(self.temperature) - bound) for bound in LOG_RANGE) < 0.25

    def threshold(self, value: float) -> float:
        """The probability at which a decision falls that fell at ``value`` before."""
        return float(1.0 / (1.0 + np.exp(-(np.log(value) - np.log1p(-value)) / self.temperature)))

    def divisors(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """Numbers to divide the probabilities of several classes by that decide as these did before; their sum is 1."""
        power_C = np.array(values) ** (1.0 / self.temperature)
        return tuple(map(float, power_C / power_C.sum()))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": "temperature", "temperature": self.temperature}

    @classmethod
    def fit(cls, logits_NC: np.ndarray, target: np.ndarray) -> Temperature:
        """The temperature of the smallest loss, by a bounded search over its logarithm.

        Args:
            logits_NC: Logits of rows the model has not seen.
            target: Class numbers [N], or truth of each label [N, C].
        """
        from scipy.optimize import minimize_scalar

        logits_NC = np.asarray(logits_NC, dtype=np.float64)

        def loss(log_t: float) -> float:
            return float(proper_loss(logits_NC / np.exp(log_t), target).mean())

        grid = np.linspace(*LOG_RANGE, 41)
        best = int(np.argmin([loss(t) for t in grid]))
        low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
        found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
        return cls(float(np.exp(found.x)))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Temperature:
        """From plain values."""
        return cls(float(values["temperature"]))


@dataclass(frozen=True)
class VectorScaling:
    """A factor and an offset of each class's logit, held near one temperature; answers may change.

    Attributes:
        factors: One a class.
        offsets: One a class.
    """

    factors: tuple[float, ...]
    offsets: tuple[float, ...]

    def logits(self, logits_NC: np.ndarray) -> np.ndarray:
        """Calibrated logits [N, C] float64."""
        return np.asarray(logits_NC, dtype=np.float64) * np.array(self.factors) + np.array(self.offsets)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": "vector", "factors": list(self.factors), "offsets": list(self.offsets)}

    @classmethod
    def fit(cls, logits_NC: np.ndarray, target: np.ndarray) -> VectorScaling:
        """Factors and offsets of the smallest loss, started at the best temperature."""
        from scipy.optimize import minimize

        logits_NC = np.asarray(logits_NC, dtype=np.float64)
        num, width = logits_NC.shape
        start = 1.0 / Temperature.fit(logits_NC, target).temperature
        truth_NC = np.zeros_like(logits_NC)
        truth_NC[np.arange(num), target] = 1.0

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            factors, offsets = values[:width], values[width:]
            log_NC = _log_softmax(logits_NC * factors + offsets)
            gap_NC = (np.exp(log_NC) - truth_NC) / num
            away = np.concatenate([factors / start - 1.0, offsets])
            slope = np.concatenate([(gap_NC * logits_NC).sum(0), gap_NC.sum(0)])
            scale = np.concatenate([np.full(width, 1 / start), np.ones(width)])
            penalty = VECTOR_PENALTY / num
            return float(
                -(log_NC * truth_NC).sum() / num + penalty * (away**2).sum()
            ), slope + 2 * penalty * away * scale

        found = minimize(loss, np.concatenate([np.full(width, start), np.zeros(width)]), jac=True, method="L-BFGS-B")
        return cls(tuple(map(float, found.x[:width])), tuple(map(float, found.x[width:])))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> VectorScaling:
        """From plain values."""
        return cls(tuple(map(float, values["factors"])), tuple(map(float, values["offsets"])))


@dataclass(frozen=True)
class Isotonic:
    """Of two classes: a rising staircase from the difference of the logits to the probability of the second.

    Attributes:
        at: Differences of logits, rising.
        proba: Probability of the second class at each, away from 0 and 1 by one row; straight lines between.
    """

    at: tuple[float, ...]
    proba: tuple[float, ...]

    def logits(self, logits_NC: np.ndarray) -> np.ndarray:
        """Calibrated logits [N, 2] float64."""
        gap_N = np.asarray(logits_NC[:, 1], dtype=np.float64) - np.asarray(logits_NC[:, 0], dtype=np.float64)
        second_N = np.interp(gap_N, self.at, self.proba)
        return np.column_stack([np.log1p(-second_N), np.log(second_N)])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": "isotonic", "at": list(self.at), "proba": list(self.proba)}

    @classmethod
    def fit(cls, logits_NC: np.ndarray, target: np.ndarray) -> Isotonic:
        """Isotonic regression of the truth on the difference of the logits."""
        from sklearn.isotonic import IsotonicRegression

        margin = 1.0 / (len(target) + 2)
        made = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
        gap_N = np.asarray(logits_NC[:, 1], dtype=np.float64) - np.asarray(logits_NC[:, 0], dtype=np.float64)
        made.fit(gap_N, (target == 1).astype(np.float64))
        return cls(tuple(map(float, made.X_thresholds_)), tuple(map(float, made.y_thresholds_)))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Isotonic:
        """From plain values."""
        return cls(tuple(map(float, values["at"])), tuple(map(float, values["proba"])))


CALIBRATORS.add("temperature", Temperature)
CALIBRATORS.add("vector", VectorScaling)
CALIBRATORS.add("isotonic", Isotonic)


def proper_loss(logits_NC: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each row [N], of a class [N] or of label sets [N, C] the mean over labels, in nats."""
    logits_NC = np.asarray(logits_NC, dtype=np.float64)
    if target.ndim == 2:
        return np.asarray(np.logaddexp(0.0, np.where(target > 0.5, -logits_NC, logits_NC)).mean(1))
    return np.asarray(-_log_softmax(logits_NC)[np.arange(len(target)), target])


def _log_softmax(logits_NC: np.ndarray) -> np.ndarray:
    moved_NC = logits_NC - logits_NC.max(axis=1, keepdims=True)
    return np.asarray(moved_NC - np.log(np.exp(moved_NC).sum(axis=1, keepdims=True)))


def calibrator_from_json(values: dict[str, Any] | None) -> Calibrator | None:
    """A calibrator from plain values.

    Raises:
        ValueError: No such calibrator.
    """
    if values is None:
        return None
    found: Calibrator = CALIBRATORS.get(values["name"]).from_json(values)
    return found
