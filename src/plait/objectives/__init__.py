"""auxiliary objectives: options that change how a model learns, for any fusion; one file per idea."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.objectives.base import OBJECTIVES, ObjectiveInfo, check_objectives, chosen_objectives
from plait.objectives.orthogonality import orthogonality, overlap
from plait.registry import late_names

if TYPE_CHECKING:
    from plait.objectives.adapters import Adapter
    from plait.objectives.alignment import Alignment
    from plait.objectives.auxiliary import AuxiliaryHeads
    from plait.objectives.auxiliary_objectives import AuxiliaryObjectives
    from plait.objectives.blending import GradientBlending, blending_weights
    from plait.objectives.hiding import PredictionModulation
    from plait.objectives.learned_augmentation import LearnedAugmentation
    from plait.objectives.modulation import GradientModulation
    from plait.objectives.multimodal_contrast import MultimodalContrast
    from plait.objectives.pareto import ParetoGradients
    from plait.objectives.pretraining import PRETRAINING, PretrainingTerm, mask_modalities
    from plait.objectives.step import Step
    from plait.objectives.teachers import UnimodalTeachers


__all__ = [
    "OBJECTIVES",
    "PRETRAINING",
    "Adapter",
    "ObjectiveInfo",
    "Alignment",
    "AuxiliaryHeads",
    "GradientBlending",
    "GradientModulation",
    "AuxiliaryObjectives",
    "LearnedAugmentation",
    "MultimodalContrast",
    "ParetoGradients",
    "PredictionModulation",
    "PretrainingTerm",
    "Step",
    "UnimodalTeachers",
    "blending_weights",
    "check_objectives",
    "chosen_objectives",
    "mask_modalities",
    "orthogonality",
    "overlap",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "Adapter": "adapters",
        "Alignment": "alignment",
        "AuxiliaryHeads": "auxiliary",
        "AuxiliaryObjectives": "auxiliary_objectives",
        "GradientBlending": "blending",
        "GradientModulation": "modulation",
        "LearnedAugmentation": "learned_augmentation",
        "MultimodalContrast": "multimodal_contrast",
        "PRETRAINING": "pretraining",
        "ParetoGradients": "pareto",
        "PredictionModulation": "hiding",
        "PretrainingTerm": "pretraining",
        "Step": "step",
        "UnimodalTeachers": "teachers",
        "blending_weights": "blending",
        "mask_modalities": "pretraining",
    },
)
