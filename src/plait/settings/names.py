"""Names of what is registered in rooms that take seconds to import, so that a mistyped one is answered at once.

Each list says what its registry says (a test holds it). A name registered by the user is in the registry only, which is
imported then; see ``plait.api.first_look``.
"""

from __future__ import annotations

FUSION_NAMES = (
    "bottleneck", "co_attention", "concat", "cosine", "cross_attention", "evidential", "film", "gated", "late_mean",
    "late_weighted", "late_stacking", "low_rank", "mcb", "mfb", "mfh", "mixture_of_experts", "mmtm", "perceiver",
    "prefix", "product", "product_of_experts", "self_attention", "tensor", "mutan", "block", "weighted_sum",
)  # fmt: skip
TASK_NAMES = (
    "classification", "multilabel", "regression", "matching", "retrieval", "captioning", "vqa_open", "vqa", "ordinal",
)  # fmt: skip
RECIPE_NAMES = ("classic", "default", "sentiment")
PRESET_NAMES = ("single", "default", "fast", "best")
TASKS_WITHOUT_TARGET = ("retrieval",)
ABSENCE_NAMES = ("missing", "marginal")  # what stands for an absent modality of a fitted model
ENCODER_SOURCES = ("hf", "two-tower", "timm", "torchvision", "scratch")
