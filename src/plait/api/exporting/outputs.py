"""What stands behind the logits, as modules whose every operation ONNX knows: scales, averaging, calibration, answers.

Each of them is the twin of a function on numpy arrays and says of which; ``parity`` compares the whole with the model.
Probabilities are float32; numbers are taken back to their unit in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.api.exporting.normal import Interpolation, Normal
from plait.registry import Registry
from plait.tasks import LabelState
from plait.tasks.calibrators import Calibrator, Isotonic, Temperature, VectorScaling
from plait.tasks.regression import scale_of
from plait.tasks.target_scale import MOST_STDS, TargetScale, _increasing

SMALLEST = 1e-7  # of a probability, in a logarithm, as ``ensemble.scale`` and the tasks have it


class NumberScale(nn.Module):
    """The twin of ``TargetScale``: what is learned to values in their unit, and back."""

    residual_R: Tensor  # noqa: N815  shape letters

    def __init__(self, scale: TargetScale) -> None:
        super().__init__()
        self.scale = scale
        if scale.transform == "quantile":
            values, places = _increasing(scale.knots)
            self.value_at, self.place_at, self.normal = (
                Interpolation(places, values),
                Interpolation(values, places),
                Normal(),
            )
        self.register_buffer("residual_R", torch.tensor(scale.residuals, dtype=torch.float64))

    def decode(self, encoded: Tensor) -> Tensor:
        """Learned to values [B, 1] float64."""
        encoded, scale = encoded.double(), self.scale
        if scale.transform == "none":
            return encoded * scale.std + scale.mean
        if not scale.residuals:
            return self._back(encoded) * scale.smearing
        return self._back(encoded + self.residual_R).mean(1, keepdim=True) * scale.smearing

    def _back(self, encoded: Tensor) -> Tensor:
        scale = self.scale
        if scale.low is not None and scale.high is not None:
            encoded = encoded.clamp(scale.low - MOST_STDS, scale.high + MOST_STDS)
        moved = encoded * scale.std + scale.mean
        if scale.transform == "log":
            return torch.exp(moved)
        found: Tensor = self.value_at(self.normal.below(moved))
        return found

    def encode(self, values: Tensor) -> Tensor:
        """Values to what is learned [B, 1] float64."""
        values, scale = values.double(), self.scale
        if scale.transform == "log":
            values = torch.log(values.clamp(min=float(np.finfo(np.float64).tiny)))
        elif scale.transform == "quantile":
            values = self.normal.quantile(self.place_at(values))
        return (values - scale.mean) / scale.std


class Family(nn.Module):
    """A kind of outputs: how logits become outputs, are tempered, and come back; the twin of a task and its scale."""

    def activate(self, logits_BC: Tensor) -> Tensor:
        """Logits to probabilities or numbers [B, C]."""
        raise NotImplementedError

    def inverse(self, outputs_BC: Tensor) -> Tensor:
        """Outputs to logits that give them."""
        raise NotImplementedError

    def temper(self, outputs_BC: Tensor, temperature_B1: Tensor) -> Tensor:
        """Outputs whose logits are divided by temperatures."""
        raise NotImplementedError


class Classes(Family):
    """One of several classes."""

    def __init__(self, labels: LabelState) -> None:
        super().__init__()

    def activate(self, logits_BC: Tensor) -> Tensor:
        """Softmax."""
        return torch.softmax(logits_BC, dim=1)

    def inverse(self, outputs_BC: Tensor) -> Tensor:
        """Logarithm."""
        return torch.log(outputs_BC.clamp(SMALLEST, 1.0))

    def temper(self, outputs_BC: Tensor, temperature_B1: Tensor) -> Tensor:
        """Softmax of the logarithm over the temperature."""
        return torch.softmax(self.inverse(outputs_BC) / temperature_B1, dim=1)


class Labels(Family):
    """Any number of labels."""

    def __init__(self, labels: LabelState) -> None:
        super().__init__()

    def activate(self, logits_BC: Tensor) -> Tensor:
        """Sigmoid."""
        return torch.sigmoid(logits_BC)

    def inverse(self, outputs_BC: Tensor) -> Tensor:
        """Log-odds, in float64: one minus 1e-7 is one in float32 but for a digit."""
        inside = outputs_BC.double().clamp(SMALLEST, 1.0 - SMALLEST)
        return (torch.log(inside) - torch.log(1.0 - inside)).float()

    def temper(self, outputs_BC: Tensor, temperature_B1: Tensor) -> Tensor:
        """Sigmoid of the log-odds over the temperature."""
        return torch.sigmoid(self.inverse(outputs_BC) / temperature_B1)


class Number(Family):
    """A number, [B, 1] float64."""

    def __init__(self, labels: LabelState) -> None:
        super().__init__()
        self.scaled = NumberScale(scale_of(labels))

    def activate(self, logits_BC: Tensor) -> Tensor:
        """Back to its unit."""
        return self.scaled.decode(logits_BC)

    def inverse(self, outputs_BC: Tensor) -> Tensor:
        """As it is learned, in float32 as logits are kept."""
        return self.scaled.encode(outputs_BC).float()

    def temper(self, outputs_BC: Tensor, temperature_B1: Tensor) -> Tensor:
        """Numbers have no temperature."""
        return outputs_BC


FAMILIES: Registry[Callable[[LabelState], Family]] = Registry("kind of outputs that can be exported")
FAMILIES.add("classes", Classes)
FAMILIES.add("labels", Labels)
FAMILIES.add("number", Number)


class Link(nn.Module):
    """From scores of a linear model, n-grams or trees to outputs; the twin of ``ensemble.link.outputs_of``."""

    def __init__(self, link: str, scale: TargetScale | None) -> None:
        super().__init__()
        self.link = link
        self.scaled = None if scale is None else NumberScale(scale)

    def forward(self, scores_BC: Tensor) -> Tensor:
        """Outputs [B, C]."""
        if self.link == "softmax":
            return torch.softmax(scores_BC, dim=1)
        if self.link == "sigmoid":
            return torch.sigmoid(scores_BC)
        return scores_BC if self.scaled is None else self.scaled.decode(scores_BC)


class TemperatureGraph(nn.Module):
    """Logits over one number."""

    def __init__(self, calibrator: Temperature) -> None:
        super().__init__()
        self.temperature = calibrator.temperature

    def forward(self, logits_BC: Tensor) -> Tensor:
        """Calibrated logits."""
        return logits_BC / self.temperature


class VectorGraph(nn.Module):
    """A factor and an offset a class."""

    factor_C: Tensor  # noqa: N815  shape letters
    offset_C: Tensor  # noqa: N815

    def __init__(self, calibrator: VectorScaling) -> None:
        super().__init__()
        self.register_buffer("factor_C", torch.tensor(calibrator.factors, dtype=torch.float32))
        self.register_buffer("offset_C", torch.tensor(calibrator.offsets, dtype=torch.float32))

    def forward(self, logits_BC: Tensor) -> Tensor:
        """Calibrated logits."""
        return logits_BC * self.factor_C + self.offset_C


class IsotonicGraph(nn.Module):
    """A staircase from the difference of two logits to the probability of the second class."""

    def __init__(self, calibrator: Isotonic) -> None:
        super().__init__()
        self.line = Interpolation(np.array(calibrator.at), np.array(calibrator.proba))

    def forward(self, logits_BC: Tensor) -> Tensor:
        """Calibrated logits [B, 2]."""
        wide_BC = logits_BC.double()
        second_B1 = self.line(wide_BC[:, 1:] - wide_BC[:, :1])
        return torch.cat([torch.log(1.0 - second_B1), torch.log(second_B1)], dim=1).float()


_CALIBRATORS: dict[type, Callable[[Any], nn.Module]] = {
    Temperature: TemperatureGraph, VectorScaling: VectorGraph, Isotonic: IsotonicGraph,
}  # fmt: skip


def calibrator_graph(calibrator: Calibrator | None) -> nn.Module:
    """A calibrator as a module; nothing is done without one.

    Raises:
        ValueError: A calibrator of another kind.
    """
    if calibrator is None:
        return nn.Identity()
    made = _CALIBRATORS.get(type(calibrator))
    if made is None:
        raise ValueError(
            f"calibration by {type(calibrator).__name__} cannot be exported; known: "
            f"{', '.join(kind.__name__ for kind in _CALIBRATORS)}. Calibrate the model anew with plait.calibrate"
        )
    return made(calibrator)


def steepest(calibrator: Calibrator | None) -> float:
    """By how much a calibrator may enlarge a difference of logits, 1 or more: its steepest slope."""
    if isinstance(calibrator, Temperature):
        return max(1.0, 1.0 / calibrator.temperature)
    if isinstance(calibrator, VectorScaling):
        return max(1.0, *(abs(f) for f in calibrator.factors))
    if isinstance(calibrator, Isotonic) and len(calibrator.at) > 1:
        return max(1.0, float((np.diff(calibrator.proba) / np.diff(calibrator.at)).max()))
    return 1.0
