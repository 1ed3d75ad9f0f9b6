"""A numeric target as a model learns it: as it is, its logarithm or its normal quantiles, standardised; and back.

A model that learns a logarithm by squared errors predicts the median of a skewed target. ``residuals`` make it the mean
(Duan 1983): each is added before the value is taken back, and the results are averaged. ``smearing`` is the same in one
factor: the mean of the target over that of what is predicted in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

TRANSFORMS = ("none", "log", "quantile")
NUM_KNOTS = 200
MOST_STDS = 1.0  # beyond the range of training an exponential runs away


@dataclass(frozen=True)
class TargetScale:
    """How a number is learned.

    Attributes:
        transform: "none", "log" (of values above 0) or "quantile".
        mean: Mean of the transformed training values.
        std: Their standard deviation, 1 where it is 0.
        low: Smallest transformed training value, in standard deviations; None where nothing is cut.
        high: Largest.
        knots: Of "quantile": values at evenly spaced quantiles.
        smearing: Factor of the decoded values.
        residuals: Quantiles of what predictions lack, in standard deviations; none: decoded values are medians.
    """

    transform: str = "none"
    mean: float = 0.0
    std: float = 1.0
    low: float | None = None
    high: float | None = None
    knots: tuple[float, ...] = ()
    smearing: float = 1.0
    residuals: tuple[float, ...] = ()

    @classmethod
    def fit(cls, values_N: Any, transform: str = "none") -> TargetScale:
        """Learn it from training values.

        Raises:
            ValueError: A logarithm of values that are not all above 0.
        """
        values_N = np.asarray(values_N, dtype=np.float64)
        if transform == "log" and float(values_N.min()) <= 0:
            raise ValueError(
                f"task.transform=log needs numbers above 0; the training rows go down to {values_N.min():g}"
            )
        knots: tuple[float, ...] = ()
        if transform == "quantile":
            found = np.quantile(values_N, (np.arange(NUM_KNOTS) + 0.5) / NUM_KNOTS)
            knots = tuple(float(v) for v in found)
        plain = cls(transform, knots=knots)
        moved_N = plain.encode(values_N)
        std, mean = float(moved_N.std()) or 1.0, float(moved_N.mean())
        if transform == "none":
            return cls(transform, mean, std)
        scaled_N = (moved_N - mean) / std
        return cls(transform, mean, std, float(scaled_N.min()), float(scaled_N.max()), knots)

    def encode(self, values_N: Any) -> np.ndarray:
        """Values in their unit to what is learned."""
        values_N = np.asarray(values_N, dtype=np.float64)
        if self.transform == "log":
            values_N = np.log(np.maximum(values_N, np.finfo(np.float64).tiny))
        elif self.transform == "quantile":
            place_N = np.interp(values_N, *_increasing(self.knots))
            values_N = torch.special.ndtri(torch.as_tensor(place_N)).numpy()
        found: np.ndarray = (values_N - self.mean) / self.std
        return found

    def decode(self, encoded_N: Any) -> np.ndarray:
        """What is learned to values in their unit; a transformed one stays near the range of training."""
        encoded_N = np.asarray(encoded_N, dtype=np.float64)
        if self.transform == "none":
            found: np.ndarray = encoded_N * self.std + self.mean
            return found
        if not self.residuals:
            return self._back(encoded_N) * self.smearing
        found = np.zeros_like(encoded_N)
        for residual in self.residuals:
            found += self._back(encoded_N + residual)
        return found * (self.smearing / len(self.residuals))

    def _back(self, encoded_N: np.ndarray) -> np.ndarray:
        """Transformed values to values in their unit."""
        if self.low is not None and self.high is not None:
            encoded_N = np.clip(encoded_N, self.low - MOST_STDS, self.high + MOST_STDS)
        moved_N = encoded_N * self.std + self.mean
        if self.transform == "log":
            return np.asarray(np.exp(moved_N))
        values, places = _increasing(self.knots)
        return np.asarray(np.interp(torch.special.ndtr(torch.as_tensor(moved_N)).numpy(), places, values))

    def without_correction(self) -> TargetScale:
        """The same, which takes back exactly what it encoded."""
        return replace(self, residuals=(), smearing=1.0, low=None, high=None)

    def with_residuals(self, residual_N: np.ndarray) -> TargetScale:
        """The same, whose decoded values are means.

        Args:
            residual_N: Encoded targets less what was predicted for them, of some rows.
        """
        if self.transform == "none" or len(residual_N) == 0:
            return self
        count = min(len(residual_N), NUM_KNOTS)
        found = np.quantile(residual_N.astype(np.float64), (np.arange(count) + 0.5) / count)
        return replace(self, residuals=tuple(float(v) for v in found))

    def with_smearing(self, target_N: np.ndarray, encoded_N: np.ndarray) -> TargetScale:
        """The same with the mean of what is predicted for training rows made right."""
        if self.transform == "none":
            return self
        plain = TargetScale(self.transform, self.mean, self.std, self.low, self.high, self.knots)
        factor = float(target_N.mean() / plain.decode(encoded_N).mean())
        if not (np.isfinite(factor) and 0.5 < factor < 2.0):
            factor = 1.0
        return TargetScale(self.transform, self.mean, self.std, self.low, self.high, self.knots, factor)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        plain = {**vars(self), "knots": list(self.knots), "residuals": list(self.residuals)}
        if not self.residuals:
            del plain["residuals"]
        return plain

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> TargetScale:
        """From plain values."""
        lists = {name: tuple(facts.get(name) or ()) for name in ("knots", "residuals")}
        return cls(**{**facts, **lists})


def transforms_for(values_N: np.ndarray) -> tuple[str, ...]:
    """What may be tried on these training values."""
    return TRANSFORMS if float(np.min(values_N)) > 0 else ("none", "quantile")


def _increasing(knots: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Different knot values and their quantiles; equal ones share the middle of theirs."""
    values, first, count = np.unique(np.asarray(knots), return_index=True, return_counts=True)
    return values, (first + (count - 1) / 2 + 0.5) / len(knots)
