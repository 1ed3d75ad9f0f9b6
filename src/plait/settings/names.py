"""Names of what is registered in rooms that take seconds to import, so that a mistyped one is answered at once.

Each list says what its registry says (a test holds it). A name registered by the user is in the registry only, which is
imported then; see ``plait.api.first_look``.
"""

from __future__ import annotations

FUSION_NAMES = (
    "bottleneck", "co_attention", "concat", "cosine", "cross_attention", "evidential", "rcml", "dbf", "film",
    "mixture_of_experts", "flex_moe", "gated", "late_mean", "late_weighted", "late_stacking", "low_rank", "mcb", "mfb",
    "mfh", "mmtm", "pdf", "perceiver", "prefix", "product", "product_of_experts", "qmf", "reconboost", "self_attention",
    "tensor", "mutan", "block", "weighted_sum",
)  # fmt: skip
TASK_NAMES = (
    "classification", "multilabel", "regression", "matching", "retrieval", "captioning", "vqa_open", "vqa", "ordinal",
)  # fmt: skip
RECIPE_NAMES = ("default", "classic", "sentiment")
PRESET_NAMES = ("single", "fast", "default", "best", "prototypes")
TASKS_WITHOUT_TARGET = ("retrieval",)
METRIC_NAMES = (  # of explanations; each task has some of them
    "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "auroc", "average_precision", "log_loss", "f1_micro",
    "mAP", "auroc_macro", "exact_match", "hamming", "mae", "rmse", "r2", "pearson", "log-likelihood",
)  # fmt: skip
ABSENCE_NAMES = ("missing", "marginal")  # what stands for an absent modality of a fitted model
ENCODER_SOURCES = ("hf", "two-tower", "timm", "torchvision", "scratch")
PAGE_LANGUAGES = ("en", "zh")
IMAGE_CROPS = ("whole", "diagonal", "corners", "six")  # views of a picture; plait.processors.image
INPUT_METHOD_NAMES = ("auto", "occlusion", "shapley", "gradients", "attention")  # how parts of inputs are explained
