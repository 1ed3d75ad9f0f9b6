"""A numeric target as a member learns it: as it is, or its logarithm, standardised; and back to its unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRANSFORMS = ("none", "log")
MOST_STDS = 3.0  # beyond the training range an exponential runs away


@dataclass(frozen=True)
class TargetScale:
    """How a number is learned.

    Attributes:
        transform: "none" or "log" (of values above 0).
        mean: Mean of the transformed training values.
        std: Their standard deviation, 1 where it is 0.
        low: Smallest transformed training value, in standard deviations.
        high: Largest.
        smearing: Mean of the target over that of what is predicted in training: makes the mean, not the median, of a
            logarithm right (Duan 1983).
    """

    transform: str
    mean: float
    std: float
    low: float
    high: float
    smearing: float = 1.0

    @classmethod
    def fit(cls, values_N: np.ndarray, transform: str) -> TargetScale:
        """Learn it from training values."""
        moved = np.log(values_N) if transform == "log" else values_N
        std = float(moved.std()) or 1.0
        mean = float(moved.mean())
        scaled = (moved - mean) / std
        return cls(transform, mean, std, float(scaled.min()), float(scaled.max()))

    def encode(self, values_N: np.ndarray) -> np.ndarray:
        """Values in their unit to what is learned."""
        moved = np.log(values_N) if self.transform == "log" else values_N
        encoded: np.ndarray = (moved - self.mean) / self.std
        return encoded

    def decode(self, encoded_N: np.ndarray) -> np.ndarray:
        """What is learned to values in their unit; a logarithm stays near the range of training."""
        if self.transform == "none":
            return np.asarray(encoded_N * self.std + self.mean)
        kept = np.clip(encoded_N, self.low - MOST_STDS, self.high + MOST_STDS)
        return np.asarray(np.exp(kept * self.std + self.mean) * self.smearing)


def transforms_for(values_N: np.ndarray) -> tuple[str, ...]:
    """What may be tried on these training values."""
    return TRANSFORMS if float(values_N.min()) > 0 else ("none",)
