"""Training aids: options that change how a model learns, for any fusion; one file per idea."""

from __future__ import annotations

from plait.aids.adapters import Adapter
from plait.aids.alignment import Alignment
from plait.aids.auxiliary import AuxiliaryHeads
from plait.aids.base import AIDS, AidInfo, check_aids, chosen_aids
from plait.aids.blending import GradientBlending, blending_weights
from plait.aids.modulation import GradientModulation
from plait.aids.orthogonality import orthogonality, overlap
from plait.aids.training_aids import TrainingAids

__all__ = [
    "AIDS",
    "Adapter",
    "AidInfo",
    "Alignment",
    "AuxiliaryHeads",
    "GradientBlending",
    "GradientModulation",
    "TrainingAids",
    "blending_weights",
    "check_aids",
    "chosen_aids",
    "orthogonality",
    "overlap",
]
