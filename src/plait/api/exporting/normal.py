"""The normal distribution and lines between points in operations that ONNX knows: what numbers are taken back by.

In float64, which onnxruntime computes these operations in on a CPU. ``erfc`` is a Chebyshev series of its logarithm
without the exponential; its coefficients come from SciPy's ``erfcx`` when the graph is made. The quantile function is
Acklam's rational approximation with one step of Halley's method.

Reference: Press et al. 2007 (Numerical Recipes), section 6.2.2; Acklam 2003.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

DEGREE = 27
LOW = 0.02425  # below it and above one minus it Acklam's tails
CENTRE_A = (-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.3577518672690, -30.66479806614716,
            2.506628277459239)  # fmt: skip
CENTRE_B = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
TAIL_C = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
          2.938163982698783)  # fmt: skip
TAIL_D = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)


def erfc_coefficients() -> tuple[float, ...]:
    """Chebyshev coefficients of log(erfcx(z) / t), t = 2 / (2 + z), over t from 0 to 1."""
    from scipy.special import erfcx

    def target(u: np.ndarray) -> np.ndarray:
        t = np.maximum((np.asarray(u) + 1) / 2, 1e-9)
        return np.asarray(np.log(erfcx(2 / t - 2) / t))

    return tuple(float(c) for c in np.polynomial.chebyshev.chebinterpolate(target, DEGREE))


class Normal(nn.Module):
    """The standard normal distribution, float64 in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = erfc_coefficients()

    def below(self, x: Tensor) -> Tensor:
        """The probability of a smaller value."""
        z = x.abs() / math.sqrt(2)
        t = 2 / (2 + z)
        twice = 4 * t - 2
        b1, b2 = torch.zeros_like(t), torch.zeros_like(t)
        for c in self.coefficients[:0:-1]:
            b1, b2 = twice * b1 - b2 + c, b1
        series = b1 * (2 * t - 1) - b2 + self.coefficients[0]
        half = 0.5 * t * torch.exp(series - z * z)
        return torch.where(x > 0, 1 - half, half)

    def quantile(self, share: Tensor) -> Tensor:
        """The value of which this share is smaller, for shares above 0 and below 1."""
        q = share - 0.5
        r = q * q
        centre = _polynomial(CENTRE_A, r) * q / _polynomial(CENTRE_B, r)
        tail = torch.sqrt(-2 * torch.log(torch.minimum(share, 1 - share)))
        edge = _polynomial(TAIL_C, tail) / _polynomial(TAIL_D, tail)
        found = torch.where(torch.minimum(share, 1 - share) < LOW, torch.where(q < 0, edge, -edge), centre)
        error = (self.below(found) - share) * math.sqrt(2 * math.pi) * torch.exp(found * found / 2)
        return found - error / (1 + found * error / 2)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """The highest power first."""
    made = torch.zeros_like(x)
    for c in coefficients:
        made = made * x + c
    return made


class Interpolation(nn.Module):
    """Straight lines between points, level outside them, as ``numpy.interp``.

    Args:
        at: Where the points stand, rising.
        values: Their values.
    """

    at_K: Tensor  # noqa: N815  shape letters
    values_K: Tensor  # noqa: N815

    def __init__(self, at: np.ndarray, values: np.ndarray) -> None:
        super().__init__()
        self.count = len(at)
        self.register_buffer("at_K", torch.from_numpy(np.asarray(at, dtype=np.float64)))
        self.register_buffer("values_K", torch.from_numpy(np.asarray(values, dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Values at x, float64 of any shape."""
        place = torch.zeros_like(x, dtype=torch.int64)
        step = 1 << max(self.count - 1, 1).bit_length()
        while step:
            further = (place + step).clamp(max=self.count - 1)
            place = torch.where(self.at_K[further] <= x, further, place)
            step >>= 1
        place = place.clamp(max=max(self.count - 2, 0))
        after = (place + 1).clamp(max=self.count - 1)
        left, right = self.at_K[place], self.at_K[after]
        gap = right - left
        share = torch.where(gap > 0, (x - left) / torch.where(gap > 0, gap, torch.ones_like(gap)), torch.ones_like(gap))
        low, high = self.values_K[place], self.values_K[after]
        return low + share.clamp(0.0, 1.0) * (high - low)
