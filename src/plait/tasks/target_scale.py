"""A numeric target as a model learns it: as it is, its logarithm or its normal quantiles, standardised; and back.

A model that learns a logarithm by squared errors predicts the median of a skewed target; ``smearing`` (Duan 1983, the
mean of the target over that of what is predicted in training) makes it the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    transform: str = "none"
    mean: float = 0.0
    std: float = 1.0
    low: float | None = None
    high: float | None = None
    knots: tuple[float, ...] = ()
    smearing: float = 1.0

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
        if self.low is not None and self.high is not None:
            encoded_N = np.clip(encoded_N, self.low - MOST_STDS, self.high + MOST_STDS)
        moved_N = encoded_N * self.std + self.mean
        if self.transform == "log":
            return np.asarray(np.exp(moved_N) * self.smearing)
        values, places = _increasing(self.knots)
        place_N = torch.special.ndtr(torch.as_tensor(moved_N)).numpy()
        return np.asarray(np.interp(place_N, places, values) * self.smearing)

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
        return {**vars(self), "knots": list(self.knots)}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> TargetScale:
        """From plain values."""
        return cls(**{**facts, "knots": tuple(facts.get("knots") or ())})


def transforms_for(values_N: np.ndarray) -> tuple[str, ...]:
    """What may be tried on these training values."""
    return TRANSFORMS if float(np.min(values_N)) > 0 else ("none", "quantile")


def _increasing(knots: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Different knot values and their quantiles; equal ones share the middle of theirs."""
    values, first, count = np.unique(np.asarray(knots), return_index=True, return_counts=True)
    return values, (first + (count - 1) / 2 + 0.5) / len(knots)
