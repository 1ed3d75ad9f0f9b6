"""Explaining a model: does it use every modality, and do they work together?

``explain_modalities`` takes any model; ``Plait.explain`` and ``plait explain`` do the same for ours. The mathematics
is in ``plait.metrics`` (Shapley values, EMAP, perceptual score).
"""

from __future__ import annotations

from plait.explain.black_box import explain_modalities

__all__ = ["explain_modalities"]
