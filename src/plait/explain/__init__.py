"""Explaining a model: does it use every modality, and do they work together?

``explain_modalities`` takes any model; ``Plait.explain`` and ``plait explain`` do the same for ours. The mathematics
is in ``plait.metrics`` (Shapley values, EMAP, perceptual score).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.registry import late_names

if TYPE_CHECKING:
    from plait.explain.black_box import explain_modalities


__all__ = ["explain_modalities"]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "explain_modalities": "black_box",
    },
)
