"""On which device a model works: ``model.device`` and ``model.to("cuda")`` of :class:`plait.Plait`."""

from __future__ import annotations

from typing import TypeVar

import torch

from plait.training.fitted import FittedParts

Model = TypeVar("Model", bound=FittedParts)


def device(fitted: FittedParts) -> torch.device:
    """The device of the network. Frozen encoders work there too, unless they were never moved: then on a GPU if any."""
    return next(fitted.model.parameters(), torch.zeros(0)).device


def to(fitted: Model, device: str | torch.device) -> Model:
    """Move the whole model, in place: network, ensemble, networks of one modality and frozen encoders.

    Args:
        fitted: The model.
        device: Such as "cpu", "cuda", "cuda:1" or "mps".

    Returns:
        The same model.

    Raises:
        ValueError: There is no such device here; the message says which there are.
    """
    try:
        wanted = torch.device(device)
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device {str(device)!r} cannot be used here; there are {', '.join(devices_here())}"
        ) from error
    ensemble = [] if fitted.ensemble is None else [fitted.ensemble]
    for module in (fitted.model, *fitted.baselines.values(), *ensemble):
        torch.nn.Module.to(module, wanted)
    fitted.inputs.device = str(wanted)
    return fitted


def devices_here() -> list[str]:
    """Names of the devices that PyTorch can use on this machine."""
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
